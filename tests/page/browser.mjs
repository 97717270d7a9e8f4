// Chromium, as the tests of the page and the screenshots use it.
import {createRequire} from "node:module";

const modules = createRequire(`${process.env.PAGE_MODULES}/`);
const {chromium} = modules("playwright-core");

export const DESKTOP = {viewport: {width: 1360, height: 860}};
export const PHONE = {viewport: {width: 390, height: 844}, deviceScaleFactor: 2, isMobile: true, hasTouch: true};
export const DEADLINE_MS = 20000;

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    chromiumSandbox: process.getuid() !== 0,
    args: ["--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--disable-gpu", "--disable-dev-shm-usage"],
  });
}

// A page, and what is wrong with it: errors, what its policy forbids, and requests to other hosts. Chromium
// reports requests that fail on the console, too, which is expected while `outage.expected` is set.
export async function openPage(browser, url, options, outage = {expected: false}) {
  const context = await browser.newContext({locale: "en-GB", timezoneId: "UTC", reducedMotion: "reduce", ...options});
  const page = await context.newPage();
  const wrong = [];
  page.setDefaultTimeout(DEADLINE_MS);
  page.on("pageerror", error => wrong.push(`error: ${error.message}`));
  page.on("console", message => {
    const failed = /^Failed to load resource/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !(failed && outage.expected))
      wrong.push(`console: ${message.text()} ${message.location().url}`);
  });
  page.on("request", request => {
    if (!request.url().startsWith(url))
      wrong.push(`it asks for ${request.url()}`);
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", event =>
      console.error(`the policy forbids ${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(`${url}/`);
  return {page, context, wrong, outage};
}

// What axe-core finds.
export async function accessibility(page) {
  await page.evaluate(modules("axe-core").source);
  const found = await page.evaluate(() => globalThis.axe.run(document, {resultTypes: ["violations"]}));
  return found.violations.flatMap(({id, help, nodes}) =>
    nodes.map(node => `${id}: ${help}: ${node.target.join(" ")}: ${node.failureSummary}`));
}

export function expect(holds, what) {
  if (!holds)
    throw new Error(`not so: ${what}`);
}

// Waits until it holds.
export async function until(what, holds, deadlineMs = DEADLINE_MS) {
  const deadline = Date.now() + deadlineMs;
  let last;
  while (!(last = await holds())) {
    if (Date.now() > deadline)
      throw new Error(`not in time: ${what}`);
    await new Promise(done => setTimeout(done, 20));
  }
  return last;
}
