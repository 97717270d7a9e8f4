// Follows the server's stream of events, each once and in order, whatever becomes of the connection.

const FIRST_WAIT_MS = 500, MOST_WAIT_MS = 8000, ANSWER_MS = 10000;
const KINDS = ["ValueCreated", "ValueUpdated", "CommandRejected"];

// The cursor of now: the first thing that a stream says. EventSource would keep it to itself.
async function cursorOfNow(url) {
  const stop = new AbortController();
  setTimeout(() => stop.abort(), ANSWER_MS); // some servers hold streams back
  const answer = await fetch(url, {signal: stop.signal, cache: "no-store"});
  if (!answer.ok)
    throw new Error(`the server answers ${answer.status}`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "", found = null;
  while (!found) {
    const {value, done} = await reader.read();
    if (done)
      throw new Error("the stream ended");
    text += value;
    found = /^id: ?(.*)\r?\n/m.exec(text);
  }
  stop.abort();
  return found[1];
}

// follow("events", {event, fresh, state}): calls
//   event(record)   with each event and rejection;
//   fresh()         where there is no place to go on from: what is shown has to be asked for anew. What
//                   happens after it was called, or while it works, is told by event();
//   state(name)     "connecting", "live", or "lost" while it tries to come back.
export function follow(url, told) {
  let cursor = null, source = null, wait = FIRST_WAIT_MS, timer = 0;

  function hear(message) {
    cursor = message.lastEventId;
    told.event(JSON.parse(message.data));
  }

  function listen() {
    source = new EventSource(`${url}?from=${encodeURIComponent(cursor)}`);
    for (const kind of KINDS)
      source.addEventListener(kind, hear);
    source.onopen = () => {
      wait = FIRST_WAIT_MS;
      told.state("live");
    };
    // EventSource comes back by itself, with Last-Event-ID, unless it was answered with an error.
    source.onerror = () => {
      told.state("lost");
      if (source.readyState === EventSource.CLOSED)
        later();
    };
  }

  // Whether the server can go on from our cursor. Not if its logs are others by now.
  async function isKnown() {
    const answer = await fetch(`${url}?from=${encodeURIComponent(cursor)}`,
                               {method: "HEAD", cache: "no-store"});
    if (!answer.ok && answer.status !== 400)
      throw new Error(`the server answers ${answer.status}`);
    return answer.ok;
  }

  async function begin() {
    clearTimeout(timer);
    source = null;
    try {
      if (!cursor || !await isKnown()) {
        cursor = null;
        const now = await cursorOfNow(url);
        await told.fresh();
        cursor = now;
      }
      listen();
    } catch {
      told.state("lost");
      later();
    }
  }

  function later() {
    timer = setTimeout(begin, wait);
    wait = Math.min(2 * wait, MOST_WAIT_MS);
  }

  addEventListener("online", () => {
    if (source?.readyState === EventSource.CLOSED)
      begin();
  });
  told.state("connecting");
  begin();
}
