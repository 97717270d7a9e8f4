// A page's EventSource, driven by lines on stdin (faults/eventsource.py): subscriber.mjs URL
//
//     {"open":1,"path":"/events","from":CURSOR}   a page with an EventSource; 1 is its number
//     {"close":1}                                 the page is killed, in the middle of whatever it reads
//
// What it hears goes to stdout, a line each: its number, the cursor and the data, with tabs between; "gone" where
// EventSource gave up, because the server answered with an error.
import {createInterface} from "node:readline";
import {launch} from "./browser.mjs";

const url = process.argv[2], pages = new Map();
const browser = await launch();

// In the page: what is heard is handed over in batches.
function subscribe({path, from, number}) {
  const source = new EventSource(`${path}?from=${encodeURIComponent(from)}`);
  let batch = "";
  const tell = line => {
    if (!batch)
      setTimeout(() => { globalThis.heard(batch); batch = ""; }, 5);
    batch += `${number}\t${line}\n`;
  };
  for (const kind of ["ValueCreated", "ValueUpdated", "CommandRejected"])
    source.addEventListener(kind, message => tell(`${message.lastEventId}\t${message.data}`));
  source.onerror = () => tell(source.readyState === EventSource.CLOSED ? "gone" : "again");
}

async function open({open: number, path, from}) {
  const page = await browser.newPage();
  pages.set(number, page);
  await page.exposeFunction("heard", text => { process.stdout.write(text); });
  await page.route(`${url}/blank`, route => route.fulfill({contentType: "text/html", body: "<!doctype html>"}));
  await page.goto(`${url}/blank`);
  await page.evaluate(subscribe, {path: url + path, from, number});
}

async function close({close: number}) {
  await pages.get(number)?.close();
  pages.delete(number);
}

for await (const line of createInterface({input: process.stdin})) {
  const order = JSON.parse(line);
  await (order.open ? open(order) : close(order));
}
await browser.close();
process.exit();
