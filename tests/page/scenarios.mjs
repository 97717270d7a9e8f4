// What people do on the page: scenarios.mjs SCENARIO URL, with the tools on PATH and the calculator's logs in the
// working folder (tests/page.bats).
import {execFileSync, spawn} from "node:child_process";
import {appendFileSync, writeFileSync} from "node:fs";
import {DESKTOP, PHONE, accessibility, expect, launch, openPage, until} from "./browser.mjs";

const [name, url] = process.argv.slice(2);

// --- what a person does and sees ---

const connection = (page, state) => page.locator(`#connection[data-state=${state}]`).waitFor();
const shows = (page, text) => page.locator("#number", {hasText: new RegExp(`^${text}$`)}).waitFor();
const textOf = (page, selector) => page.locator(selector).textContent();
const count = page => page.locator("#count").textContent().then(Number);

// What became of the latest command.
async function outcome(page, kind) {
  return page.locator(`#commands li:first-child.${kind} .status`).textContent();
}

async function create(page, value) {
  await page.getByLabel("A new value").fill(value);
  await page.getByRole("button", {name: "Create"}).click();
}

async function change(page, operation, operand) {
  await page.getByLabel("Change it by").fill(operand);
  await page.getByRole("button", {name: operation}).click();
}

function versions(page) {
  return page.locator("#history tr td:first-child").allTextContents().then(cells => cells.map(Number));
}

// What axe-core finds, by day and by night, and whether the page is wider than the screen.
async function look(page, where) {
  const found = [];
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({colorScheme});
    found.push(...(await accessibility(page)).map(one => `${where}, ${colorScheme}: ${one}`));
  }
  if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth))
    found.push(`${where}: it doesn't fit the width of the screen`);
  return found;
}

// --- what others do ---

function submit(...operands) {
  const line = execFileSync("calc-submit", ["-o", "commands", ...operands], {encoding: "utf8"});
  return JSON.parse(line).value_id;
}

// The web server, at the head of a process group that the test ends if we don't.
function startServer() {
  const server = spawn("lighttpd", ["-D", "-f", process.env.SERVER_CONFIGURATION],
                       {detached: true, stdio: ["ignore", "ignore", "ignore"]});
  server.unref();
  appendFileSync("servers", `${server.pid}\n`);
}

async function stopServer(group) {
  process.kill(-group, "SIGTERM");
  await until("the server is gone", () => fetch(url).then(() => false, () => true));
}

// --- scenarios ---

const scenarios = {
  async walk(browser) {
    const {page, wrong} = await openPage(browser, url, DESKTOP);
    await connection(page, "live");
    await create(page, "1");
    await shows(page, "1");
    expect(await page.evaluate(() => document.activeElement.id) === "value-title", "the new value has the focus");
    await change(page, "Add", "3");
    await shows(page, "4");
    expect(await outcome(page, "good") === "done: 4, version 2", "the outcome is told");
    await change(page, "Multiply", "3");
    await shows(page, "12");
    expect(/^version 3, /.test(await textOf(page, "#about")), "its version is told");
    await change(page, "Multiply", "1e308");
    expect(await outcome(page, "bad") === "rejected: the result would be too large a number", "the reason is in words");
    expect(/multiply by 1e\+308: rejected: the result would be too large/.test(await textOf(page, "#announce")),
           "screen readers hear of it");
    await shows(page, "12");
    expect((await versions(page)).join() === "3,2,1", "the history has all versions");
    expect(await page.locator("#chart").getAttribute("aria-label") ===
           "Chart of versions 1 to 3: now 12, lowest 1, highest 12", "the chart is described");
    expect(await page.locator("#chart circle").count() === 3, "the chart has all versions");
    expect(await count(page) === 4, "each event was told once");
    return wrong;
  },

  async keyboard(browser) {
    const {page, wrong} = await openPage(browser, url, DESKTOP);
    await connection(page, "live");
    const press = async (...keys) => { for (const key of keys) await page.keyboard.press(key); };
    await press("Tab");
    expect(await page.evaluate(() => document.activeElement.id) === "skip", "the first stop skips the list");
    await press("Tab", "Control+A");
    await page.keyboard.type("8");
    await press("Enter");
    await shows(page, "8");
    await press("Tab", "Control+A"); // from the value's heading to the number
    await page.keyboard.type("2");
    await press("Enter");
    await shows(page, "10");
    await press("Tab", "Tab", "Space");
    await shows(page, "20");
    await press("Tab", "Enter"); // the table of the history
    await page.getByRole("cell", {name: "multiplied by 2"}).waitFor();
    return wrong;
  },

  async others(browser) {
    const {page, wrong} = await openPage(browser, url, DESKTOP);
    await connection(page, "live");
    const mark = "<img src=x onerror=alert(1)>";
    const id = submit("create", "5", "--actor", mark);
    await page.locator(`#list a[href="#${id}"]`).click();
    await shows(page, "5");
    submit("add", id, "2", "--actor", mark);
    await shows(page, "7");
    await page.locator("summary").click();
    expect((await textOf(page, "#history tr:first-child td:last-child")) === mark, "a name is only text");
    expect((await textOf(page, "#events li:first-child")).includes(`by ${mark}`), "in the events, too");
    await page.getByRole("button", {name: "Pause"}).click();
    submit("add", id, "3");
    await shows(page, "10");
    expect(await page.locator("#events li").count() === 2, "paused, the list of events stands still");
    await page.getByRole("button", {name: "Pause"}).click();
    await until("it catches up", async () => await page.locator("#events li").count() === 3);
    return wrong;
  },

  async pages(browser) {
    const ids = new Set();
    for (let i = 0; i < 60; i++)
      ids.add(submit("create", `${i}`));
    const unknown = "0198c0de-0000-7000-8000-00000000beef";
    await until("they are in the view", async () =>
      (await (await fetch(`${url}/values?limit=1000`)).json()).length === 60);
    const {page, wrong, outage} = await openPage(browser, url, PHONE);
    await connection(page, "live");
    await until("a page of them is listed", async () => await page.locator("#list li").count() === 50);
    await page.getByRole("button", {name: "Show more"}).click();
    await until("the rest comes", async () => await page.locator("#list li").count() === 60);
    expect(await page.getByRole("button", {name: "Show more"}).isHidden(), "there are no more");
    const listed = await page.locator("#list a").evaluateAll(links => links.map(link => link.hash.slice(1)));
    expect(new Set(listed).size === 60 && listed.every(id => ids.has(id)), "each is listed once");
    outage.expected = true; // 404 for what isn't there
    await page.getByLabel("Open a value by its id").fill(` ${unknown.toUpperCase()} `);
    await page.getByRole("button", {name: "Open"}).click();
    await page.getByText("There is no such value, or not yet.").waitFor();
    await change(page, "Add", "1");
    expect(await outcome(page, "bad") === "rejected: there is no such value", "the reason is in words");
    await page.goBack();
    await page.goForward();
    expect((await textOf(page, "#value-title")).includes(unknown), "the address tells the value");
    return wrong;
  },

  async outage(browser) {
    const {page, wrong, outage} = await openPage(browser, url, DESKTOP);
    await connection(page, "live");
    await create(page, "1");
    await shows(page, "1");
    const id = await page.evaluate(() => location.hash.slice(1)), before = await count(page);
    outage.expected = true;
    await stopServer(Number(process.env.SERVER_GROUP));
    await connection(page, "lost");
    expect(await textOf(page, "#connection") === "Connection lost, trying again…", "it says so");
    wrong.push(...await look(page, "without a connection"));
    for (let i = 0; i < 100; i++)
      submit("add", id, "1");
    await change(page, "Multiply", "2"); // sent again until it is taken
    await page.getByText("no answer yet, trying again…").waitFor();
    startServer();
    await connection(page, "live");
    await shows(page, "202");
    expect(await outcome(page, "good") === "done: 202, version 102", "what was sent meanwhile is done, once");
    await until("nothing is missed", async () => await count(page) >= before + 101);
    expect(JSON.stringify(await versions(page)) === JSON.stringify([...Array(102)].map((_, i) => 102 - i)),
           "the history has every version once, in order");
    outage.expected = false;
    submit("add", id, "1");
    await shows(page, "203");
    expect(await count(page) === before + 102, "nothing was told twice");
    return wrong;
  },

  // An error makes EventSource give up, and the page has to come again by itself; with other logs it has to begin anew.
  async errors(browser) {
    const {page, wrong, outage} = await openPage(browser, url, DESKTOP);
    const control = (...command) => execFileSync("./control", command, {stdio: "inherit"});
    await connection(page, "live");
    await create(page, "1");
    await shows(page, "1");
    const id = await page.evaluate(() => location.hash.slice(1)), before = await count(page);
    outage.expected = true;
    const refused = page.waitForResponse(answer => answer.status() === 503 && answer.url().includes("/events"));
    control("hide-view");
    await connection(page, "lost");
    await refused;
    submit("add", id, "6");
    control("show-view");
    await connection(page, "live");
    await shows(page, "7");
    expect(await count(page) === before + 1, "nothing is missed, nothing twice");
    control("other-logs");
    await connection(page, "lost");
    const other = submit("create", "77");
    await page.locator(`#list a[href="#${other}"]`).waitFor();
    await connection(page, "live");
    submit("add", other, "1");
    await page.locator(`#list a[href="#${other}"] strong`, {hasText: "78"}).waitFor();
    return wrong;
  },

  // A server that has no streams: everything is asked for.
  async streamless(browser) {
    const id = submit("create", "5");
    await until("it is in the view", async () => (await fetch(`${url}/values/${id}`)).ok);
    const {page, wrong} = await openPage(browser, url, DESKTOP, {expected: true});
    await shows(page, "5");
    await connection(page, "asked");
    await change(page, "Add", "2");
    await shows(page, "7");
    expect(await outcome(page, "good") === "done: 7, version 2", "the outcome is told");
    submit("multiply", id, "2");
    await shows(page, "14");
    return wrong;
  },

  // ./policy.json lets everybody read, and nobody without a name do anything else.
  async policy(browser) {
    const id = submit("--actor", "ann", "create", "5");
    await until("it is in the view", async () => (await fetch(`${url}/values/${id}`)).ok);
    const {page, wrong} = await openPage(browser, url, DESKTOP, {expected: true});
    await shows(page, "5");
    await connection(page, "asked");
    await change(page, "Add", "2");
    expect(/^not accepted: .* may not add: /.test(await outcome(page, "bad")), "why it isn't accepted is told");
    writeFileSync("policy.json", "{}");
    await connection(page, "refused");
    await page.reload();
    await connection(page, "refused");
    expect(await textOf(page, "#none") === "You may not see values here.", "it is said that nothing may be seen");
    wrong.push(...await look(page, "where nothing is allowed"));
    return wrong;
  },

  async accessible(browser) {
    const wrong = [];
    for (const device of [DESKTOP, PHONE]) {
      const opened = await openPage(browser, url, device), {page} = opened;
      await connection(page, "live");
      wrong.push(...await look(page, "at first"));
      await create(page, "123456789.123456789");
      await shows(page, "123456789.12345679");
      await change(page, "Multiply", "1e308");
      await outcome(page, "bad");
      await page.locator("summary").click();
      wrong.push(...await look(page, "with a value"), ...opened.wrong);
      await opened.context.close();
    }
    return wrong;
  },
};

const browser = await launch();
try {
  const wrong = await scenarios[name](browser);
  for (const one of wrong)
    console.log(one);
  process.exitCode = wrong.length ? 1 : 0;
} catch (error) {
  console.log(error.stack);
  for (const context of browser.contexts())
    for (const page of context.pages())
      console.log(await page.locator("body").innerText().catch(() => ""));
  process.exitCode = 1;
} finally {
  await browser.close();
}
