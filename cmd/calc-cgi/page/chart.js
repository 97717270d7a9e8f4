// Draws a value's history: its versions from left to right, the results upwards.
import {deed, number} from "./words.js";

const HEIGHT = 220, TOP = 14, RIGHT = 14, BOTTOM = 26, TICKS = 4;

function svg(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes))
    made.setAttribute(key, value);
  if (text !== undefined)
    made.append(text);
  return made;
}

// A step of 1, 2 or 5 times a power of ten.
function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find(one => one * power >= rough * 0.999);
}

// Ticks below, between and above; the numbers may be the largest there are.
function ticksOf(low, high) {
  const room = (high / TICKS - low / TICKS) || Math.max(Math.abs(high), 1) / TICKS;
  const step = niceStep(room), ticks = [];
  for (let i = Math.floor(low / step); i <= Math.ceil(high / step) && ticks.length < 12; i++)
    ticks.push(i * step);
  if (ticks.length === 1)
    ticks.unshift(ticks[0] - step), ticks.push(ticks[1] + step);
  return ticks.filter(Number.isFinite);
}

function label(tick) {
  const text = number(Number(tick.toPrecision(6)));
  return text.length > 8 ? tick.toExponential(1) : text;
}

function describe(events, results) {
  const last = events.at(-1);
  return `Chart of versions ${events[0].version} to ${last.version}: now ${number(last.result)}, ` +
    `lowest ${number(Math.min(...results))}, highest ${number(Math.max(...results))}`;
}

export function draw(chart, events) {
  const width = chart.clientWidth || 600, results = events.map(event => event.result);
  chart.replaceChildren();
  chart.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  chart.setAttribute("aria-label", events.length ? describe(events, results) : "No history yet");
  if (!events.length)
    return;
  const ticks = ticksOf(Math.min(...results), Math.max(...results)), labels = ticks.map(label);
  const left = 16 + 7.5 * Math.max(...labels.map(text => text.length));
  const bottom = HEIGHT - BOTTOM, low = ticks[0], high = ticks.at(-1);
  const x = i => left + (width - left - RIGHT) * (events.length > 1 ? i / (events.length - 1) : 0.5);
  // halves, since the difference of two doubles may be none
  const y = value => bottom - (bottom - TOP) * ((value / 2 - low / 2) / (high / 2 - low / 2));

  ticks.forEach((tick, i) => chart.append(
    svg("line", {class: tick ? "grid" : "grid zero", x1: left, x2: width - RIGHT, y1: y(tick), y2: y(tick)}),
    svg("text", {x: left - 8, y: y(tick) + 4, "text-anchor": "end"}, labels[i])));
  const most = Math.max(1, Math.floor((width - left) / 60));
  const every = Math.max(1, Math.ceil(events.length / most));
  for (let i = events.length - 1; i >= 0; i -= every)
    chart.append(svg("text", {x: x(i), y: HEIGHT - 7, "text-anchor": "middle"}, `v${events[i].version}`));

  const ground = Math.min(Math.max(0, low), high);
  const line = results.map((result, i) => (i ? `H${x(i)}V${y(result)}` : `M${x(0)} ${y(result)}`)).join("");
  chart.append(svg("path", {class: "area", d: `${line}V${y(ground)}H${x(0)}Z`}),
               svg("path", {class: "line", d: line}));
  if (events.length > 60)
    return;
  events.forEach((event, i) => {
    const point = svg("circle", {cx: x(i), cy: y(event.result), r: i === events.length - 1 ? 5 : 3.5,
                                 class: i === events.length - 1 ? "point last" : "point"});
    point.append(svg("title", {}, `version ${event.version}: ${deed(event.data)}, ${number(event.result)}`));
    chart.append(point);
  });
}
