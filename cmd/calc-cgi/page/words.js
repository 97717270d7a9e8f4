// What the server says, in words, and elements that hold them. Text only ever becomes text.

const REASONS = {
  unknown_value: "there is no such value",
  value_exists: "this value exists already",
  forbidden: "the value belongs to somebody else",
  version_conflict: "the value has changed in the meantime",
  out_of_range: "the result would be too large a number",
  id_reused: "this command's id was used for another one",
  misplaced: "it was put in the wrong place",
  malformed: "it is no command",
};

export function reason(record) {
  return REASONS[record.reason] ?? record.reason;
}

export function number(value) {
  return Object.is(value, -0) ? "-0" : String(value);
}

// The same where there is little room.
export function shortNumber(value) {
  const text = number(value);
  return text.length > 12 ? value.toPrecision(6) : text;
}

export function shortId(id) {
  return `${id.slice(0, 8)}…${id.slice(-6)}`;
}

// What a command asks for, or an event did.
export function deed({operation, value}, done = true) {
  if (operation === "ADD")
    return `${done ? "added" : "add"} ${number(value)}`;
  if (operation === "MULTIPLY")
    return `${done ? "multiplied" : "multiply"} by ${number(value)}`;
  return value === undefined ? "a line" : `${done ? "created" : "create"} with ${number(value)}`;
}

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function time(stamp) {
  if (!stamp)
    return "";
  const made = element("time", {dateTime: stamp, title: new Date(stamp).toLocaleString()},
                       new Date(stamp).toLocaleTimeString());
  return made;
}

// A dot in the colour of an id, by which the eye finds it again.
export function dot(id) {
  const made = element("span", {className: "dot"});
  made.style.setProperty("--hue", parseInt(id.slice(-4), 16) % 360);
  return made;
}
