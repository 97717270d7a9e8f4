// The page: values, one of them with its history, what was asked for, and what happens. What is known of
// a value only ever goes up with its version, so that answers and events may come in any order.
import {draw} from "./chart.js";
import {follow} from "./live.js";
import {send} from "./send.js";
import {deed, dot, element, number, reason, shortId, shortNumber, time} from "./words.js";

const PAGE = 50, LISTED = 200, HISTORY = 200, TOLD = 50, ORDERS = 8, OUTCOMES = 1000, POLL_MS = 2000;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const $ = id => document.getElementById(id);

const values = new Map();   // id to {number, version, stamp}, and the nodes of its place in the list
const outcomes = new Map(); // command id to record: the latest ones
const waiting = new Map();  // command id to the order that was accepted and not decided yet
const told = [];            // records that the list of events doesn't show yet
let shown = null;           // {id, events, loading}: the value in the middle
let next = null;            // the path of the list's next page
let polled = 0;              // answers in a row, without a stream
let refused = false;         // reading is not allowed
let count = 0, paused = false, state = "connecting", framed = false;

function announce(text) {
  $("announce").textContent = text;
}

// --- the list of values ---

function place(id, atTop) {
  const name = element("span", {className: "id"}, dot(id), shortId(id));
  const figure = element("strong");
  const link = element("a", {href: `#${id}`, title: id}, name, figure);
  const value = {version: 0, node: element("li", {}, link), link, figure, listed: !atTop};
  values.set(id, value);
  $("list")[atTop ? "prepend" : "append"](value.node);
  $("none").hidden = true;
  return value;
}

// Of those that came by themselves only the newest stay, so that a flood doesn't fill the page.
function thinOut() {
  for (const [id, value] of values) {
    if (values.size <= LISTED)
      break;
    if (value.listed || id === shown?.id)
      continue;
    value.node.remove();
    values.delete(id);
  }
}

function learn(id, known, atTop) {
  const value = values.get(id) ?? place(id, atTop);
  if (known.version <= value.version)
    return;
  const flashes = value.version > 0 || atTop;
  Object.assign(value, known);
  value.figure.textContent = shortNumber(value.number);
  value.link.ariaCurrent = id === shown?.id;
  if (flashes && !matchMedia("(prefers-reduced-motion: reduce)").matches)
    value.figure.animate([{color: "var(--accent)"}, {}], 900);
}

async function get(path) {
  const answer = await fetch(path);
  if (!answer.ok && answer.status !== 403 && answer.status !== 404)
    throw new Error(`${path}: ${answer.status}`);
  return answer;
}

async function loadValues(path) {
  const answer = await get(path);
  refused = answer.status === 403;
  $("none").textContent = refused ? "You may not see values here." : "There are no values yet.";
  for (const {value_id, value, version, timestamp} of refused ? [] : await answer.json())
    learn(value_id, {number: value, version, stamp: timestamp}, false);
  next = /<([^>]*)>; *rel="next"/.exec(answer.headers.get("Link"))?.[1] ?? null;
  $("more").hidden = !next;
  $("none").hidden = values.size > 0;
}

// --- the value in the middle ---

function show(id) {
  for (const value of values.values())
    value.link.ariaCurrent = null;
  shown = {id, events: []};
  const link = values.get(id)?.link;
  if (link)
    link.ariaCurrent = "true";
  $("welcome").hidden = true;
  $("shown").hidden = false;
  $("value-title").replaceChildren(dot(id), "Value ", element("code", {}, id));
  paint();
  return loadHistory().catch(() => {});
}

// The latest events of the value that is shown. A cursor of /history is the version before it.
async function loadHistory() {
  const mine = shown, known = values.get(mine.id)?.version ?? 0;
  if (mine.loading)
    return;
  mine.loading = true;
  try {
    const answer = await get(`values/${mine.id}/history?limit=1000&cursor=${Math.max(0, known - HISTORY)}`);
    if (answer.ok)
      mine.events = (await answer.json()).slice(-HISTORY);
  } finally {
    mine.loading = false;
  }
  const last = mine.events.at(-1);
  if (last)
    learn(mine.id, {number: last.result, version: last.version, stamp: last.timestamp}, true);
  if (mine === shown && last && values.get(mine.id).version > last.version)
    await loadHistory();
  paint();
}

function addToHistory(event) {
  if (event.data.value_id !== shown?.id || shown.loading)
    return;
  const last = shown.events.at(-1)?.version ?? 0;
  if (event.version === last + 1)
    shown.events = [...shown.events, event].slice(-HISTORY);
  else if (event.version > last)
    loadHistory().catch(() => {});
}

function paintShown() {
  const value = values.get(shown.id), text = value?.version ? number(value.number) : "–";
  if ($("number").textContent !== text)
    $("number").textContent = text;
  $("number").classList.toggle("long", text.length > 12);
  $("about").replaceChildren(...value?.version ? [`version ${value.version}`, value.stamp ? ", " : "", time(value.stamp)]
                                               : [refused ? "You may not see it." : "There is no such value, or not yet."]);
  draw($("chart"), shown.events);
  $("history").replaceChildren(...shown.events.toReversed().map(event => element("tr", {},
    ...[event.version, deed(event.data), number(event.result), time(event.timestamp), event.actor ?? ""]
      .map(cell => element("td", {}, cell)))));
}

// --- what happens ---

function eventItem(record) {
  const {data} = record, id = data.value_id;
  const rejected = record.action === "CommandRejected";
  const what = rejected ? `rejected: ${deed(data, false)}, since ${reason(record)}`
                        : `${deed(data)}, makes ${number(record.result)}`;
  const who = element("small", {}, record.actor ? `by ${record.actor} ` : "", time(record.timestamp));
  return element("li", {className: rejected ? "bad" : ""},
                 ...id ? [element("a", {href: `#${id}`, title: id}, dot(id), shortId(id)), " "] : [],
                 element("span", {}, what), " ", who);
}

function paintEvents() {
  $("count").textContent = count;
  if (paused || !told.length)
    return;
  $("silent").hidden = true;
  $("events").prepend(...told.splice(0).reverse().map(eventItem));
  while ($("events").childElementCount > TOLD)
    $("events").lastElementChild.remove();
}

// However much happens, it is drawn once a frame.
function paint() {
  if (framed)
    return;
  framed = true;
  requestAnimationFrame(() => {
    framed = false;
    thinOut();
    paintEvents();
    if (shown)
      paintShown();
  });
}

function hear(record) {
  count++;
  told.push(record);
  if (told.length > TOLD)
    told.shift();
  outcomes.set(record.parent, record);
  if (outcomes.size > OUTCOMES)
    outcomes.delete(outcomes.keys().next().value);
  if (record.action !== "CommandRejected") {
    learn(record.data.value_id, {number: record.result, version: record.version, stamp: record.timestamp}, true);
    addToHistory(record);
  }
  settle(record.parent, record);
  paint();
}

// --- your commands ---

function enter(what) {
  const status = element("span", {className: "status"}, "sending…");
  const node = element("li", {}, element("span", {}, what), status);
  $("idle").hidden = true;
  $("commands").prepend(node);
  while ($("commands").childElementCount > ORDERS)
    $("commands").lastElementChild.remove();
  return {what, node, status};
}

function say(order, kind, text) {
  order.node.className = kind;
  order.status.textContent = text;
  if (kind)
    announce(`${order.what}: ${text}`);
}

function settle(commandId, {action, status, reason: why, result, version}) {
  const order = waiting.get(commandId);
  if (!order)
    return;
  waiting.delete(commandId);
  if (action === "CommandRejected" || status === "rejected") {
    say(order, "bad", `rejected: ${reason({reason: why})}`);
  } else {
    say(order, "good", `done: ${number(result)}, version ${version}`);
    order.applied(order.valueId);
  }
}

async function order(path, body, what, applied = () => {}) {
  const mine = Object.assign(enter(what), {applied});
  try {
    const ids = await send(path, body, () => say(mine, "", "no answer yet, trying again…"));
    say(mine, "", "accepted, not decided yet…");
    Object.assign(mine, ids, {path: `values/${ids.valueId}/commands/${ids.commandId}`});
    waiting.set(ids.commandId, mine);
    if (outcomes.has(ids.commandId))
      settle(ids.commandId, outcomes.get(ids.commandId));
  } catch (refusal) {
    say(mine, "bad", `not accepted: ${refusal.message}`);
  }
}

// Where there is no stream, which servers may not have, everything is asked for.
async function poll() {
  if (state === "live" || document.hidden)
    return;
  try {
    for (const [commandId, {path}] of [...waiting]) {
      const answer = await get(path), outcome = answer.ok ? await answer.json() : {};
      if (["applied", "rejected"].includes(outcome.status))
        settle(commandId, outcome);
    }
    await fresh();
    polled++;
  } catch {
    polled = 0; // the server is away
  }
  if (state !== "live" && polled !== 1) // one answer may be that of a server that is just coming back
    connected(!polled ? "lost" : refused ? "refused" : "asked");
}

// --- the beginning ---

const STATES = {
  connecting: "Connecting…", live: "Live", lost: "Connection lost, trying again…",
  asked: "No stream of events: asking every other second", refused: "You may neither see values nor what happens",
};

function connected(name) {
  if (state === name)
    return;
  if (name === "live")
    polled = 0;
  state = name;
  $("connection").dataset.state = name;
  $("connection").textContent = STATES[name];
}

async function fresh() {
  await loadValues(`values?limit=${PAGE}`);
  const id = location.hash.slice(1).toLowerCase();
  if (UUID.test(id) && !shown)
    show(id);
  else if (!shown && values.size)
    show(values.keys().next().value);
  else if (shown)
    await loadHistory();
}

addEventListener("hashchange", () => {
  const id = location.hash.slice(1).toLowerCase();
  if (!UUID.test(id))
    return;
  show(id);
  $("value-title").focus();
});

$("create").addEventListener("submit", event => {
  event.preventDefault();
  const value = $("first").valueAsNumber;
  order("values", {value}, deed({value}, false), id => location.hash = id);
});

$("update").addEventListener("submit", event => {
  event.preventDefault();
  const body = {operation: event.submitter?.value ?? "ADD", value: $("operand").valueAsNumber};
  order(`values/${shown.id}`, body, `${shortId(shown.id)}: ${deed(body, false)}`);
});

$("open").addEventListener("submit", event => {
  event.preventDefault();
  location.hash = $("id").value.trim().toLowerCase();
});

$("more").addEventListener("click", () => loadValues(next).catch(() => announce("The server doesn't answer.")));

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").ariaPressed = paused;
  paint();
});

new ResizeObserver(paint).observe($("chart"));
// Where it is asked for, a stream that isn't there is no news.
follow("events", {event: hear, fresh, state: name => name === "lost" && polled ? null : connected(name)});
setInterval(poll, POLL_MS);
