// The README's pictures: screenshots.mjs URL FOLDER
import {DESKTOP, PHONE, launch, openPage} from "./browser.mjs";

const [url, folder] = process.argv.slice(2);
const browser = await launch();

async function done(page, kind = "good") {
  await page.locator(`#commands li:first-child.${kind}`).waitFor();
}

async function create(page, value) {
  await page.getByLabel("A new value").fill(value);
  await page.getByRole("button", {name: "Create"}).click();
  await done(page);
}

async function change(page, operation, operand, kind) {
  await page.getByLabel("Change it by").fill(operand);
  await page.getByRole("button", {name: operation}).click();
  await page.waitForFunction(() => document.querySelector("#commands .status").textContent !== "sending…");
  await done(page, kind);
}

async function shoot(device, colorScheme, path, work) {
  const {page, wrong, context} = await openPage(browser, url, {...device, colorScheme});
  await page.locator("#connection[data-state=live]").waitFor();
  await work(page);
  await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
  await page.mouse.move(0, 0);
  await page.screenshot({path: `${folder}/${path}`});
  await context.close();
  if (wrong.length)
    throw new Error(wrong.join("\n"));
}

await shoot(DESKTOP, "light", "page-desktop.png", async page => {
  for (const value of ["42", "0.5", "-7", "1000000"])
    await create(page, value);
  await create(page, "1");
  for (const [operation, operand] of [["Add", "3"], ["Multiply", "3"], ["Add", "-7"], ["Multiply", "-2"],
                                      ["Add", "14"], ["Multiply", "4"]])
    await change(page, operation, operand);
  await change(page, "Multiply", "1e308", "bad");
  await change(page, "Add", "-4");
});
await shoot({...PHONE, viewport: {width: 390, height: 1120}}, "dark", "page-phone.png", async page => {
  await page.locator("#list a", {hasText: "12"}).first().click();
  await page.locator("#number", {hasText: "12"}).waitFor();
});
await browser.close();
