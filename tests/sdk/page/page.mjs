// Opens the server's pages in an installed Chromium: `page.mjs CHROMIUM URL ADAPTER FOLDER
// [TEXT]`. Prints what was requested, what the pages show and what went wrong as one line of JSON, and
// puts pictures of the pages into the folder. TEXT is what the adapter is called with.
import { join } from "node:path";
import { chromium } from "playwright-core";

const [executablePath, url, adapter, folder, text = "hello <b>you</b>"] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const seen = { requests: [], dialogs: [], problems: [] };

/** A page of a window, of which everything is noted. */
async function opened(options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on("request", (request) => seen.requests.push(`${request.method()} ${request.url()}`));
  page.on("dialog", (dialog) => { seen.dialogs.push(dialog.message()); dialog.dismiss(); });
  page.on("console", (message) => { if (message.type() === "error") seen.problems.push(message.text()); });
  page.on("pageerror", (error) => seen.problems.push(String(error)));
  return page;
}

const desktop = { viewport: { width: 1280, height: 900 }, colorScheme: "light" };
const phone = { viewport: { width: 390, height: 844 }, colorScheme: "dark", deviceScaleFactor: 2, isMobile: true, hasTouch: true };

const page = await opened(desktop);
await page.goto(url);
const home = await page.locator("main").innerText();
const cards = await page.locator(".card h2").allInnerTexts();
await page.screenshot({ path: join(folder, "home.png"), fullPage: true });
await page.locator(".card", { hasText: adapter }).locator("h2 a").click();
await page.waitForURL((address) => address.pathname.startsWith("/adapters/"));
const heading = await page.locator("h1").innerText();
const facts = await page.locator("main").innerText();

const codes = {};
for (const language of ["curl", "python", "javascript", "openlora"]) {
  await page.locator(`label[for="in-${language}"]`).click();
  codes[language] = await page.locator(".code:visible").innerText();
}
await page.locator('label[for="in-curl"]').click();

let answer = null;
if (await page.locator("#form").count()) {
  await page.locator("#text").fill(text);
  await page.locator("#form button").click();
  await page.waitForFunction(() => document.getElementById("state").textContent.length > 1);
  answer = {
    state: await page.locator("#state").innerText(),
    text: await page.locator("#answer").innerText().catch(() => ""),
    markup: await page.locator("#answer b").count(),
  };
}
await page.screenshot({ path: join(folder, "adapter.png"), fullPage: true });

const small = await opened(phone);
await small.goto(new URL(page.url()).href);
const overflow = await small.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
await small.screenshot({ path: join(folder, "phone.png"), fullPage: true });
const scripts = await page.locator("script").count();
await browser.close();
console.log(JSON.stringify({ ...seen, home, cards, heading, facts, codes, answer, overflow, scripts }));
