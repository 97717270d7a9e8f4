// Sends a command until the server says that it has it. The key makes it count once, however often it
// has to be sent.

const ANSWER_MS = 20000, FIRST_WAIT_MS = 500, MOST_WAIT_MS = 8000;

// crypto.randomUUID() is only there on https and on localhost.
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))]
    .map(byte => byte.toString(16).padStart(2, "0")).join("");
}

// Whether it isn't known that the command was taken, or known that it wasn't and may be yet.
function isToRepeat(status) {
  return status >= 500 || status === 408 || status === 429;
}

async function post(path, body, key) {
  try {
    return await fetch(path, {
      method: "POST", body: JSON.stringify(body), signal: AbortSignal.timeout(ANSWER_MS),
      headers: {"Content-Type": "application/json", "Idempotency-Key": `"${key}"`},
    });
  } catch {
    return null;
  }
}

// The ids of the value and of the command, once it is durable. Calls again() before each further try;
// throws an Error with the server's reason if it won't have the command.
export async function send(path, body, again) {
  const key = newKey();
  let wait = FIRST_WAIT_MS, answer;
  while (!(answer = await post(path, body, key)) || isToRepeat(answer.status)) {
    again();
    await new Promise(done => setTimeout(done, wait));
    wait = Math.min(2 * wait, MOST_WAIT_MS);
  }
  const ids = /values\/([0-9a-f-]{36})\/commands\/([0-9a-f-]{36})>/.exec(answer.headers.get("Link"));
  if (answer.ok && ids)
    return {valueId: ids[1], commandId: ids[2]};
  const problem = await answer.json().catch(() => ({}));
  throw new Error(problem.detail ?? `the server answers ${answer.status}`);
}
