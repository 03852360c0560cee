// Drives the console in Chromium over the real programs. See README.md.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { startFake } from "./fake.mjs";
import { expecting, independent, open, step } from "./browser.mjs";
import * as catalogue from "./catalogue.mjs";
import { keyWithQueue, routeWithSections } from "./forms.mjs";
import { preferences, reachable, withoutMouse } from "./keyboard.mjs";
import * as list from "./list.mjs";
import { logs } from "./logs.mjs";
import { KEY, newcomer } from "./newcomer.mjs";
import { expired, restarted } from "./outages.mjs";
import { everyPage, pictures } from "./pages.mjs";
import * as operations from "./operations.mjs";
import { playground } from "./playground.mjs";
import { belowPath, unnamedPath } from "./prefix.mjs";
import * as request from "./request.mjs";
import { Server, tools } from "./server.mjs";
import * as shell from "./shell.mjs";
import { running, send } from "./traffic.mjs";
import * as working from "./working.mjs";

const { chromium, axe } = tools();
const bin = resolve(process.env.BIN ?? join(process.env.CARGO_TARGET_DIR ?? "target", "debug"));
const smoke = process.argv.includes("--smoke");
/** Whether a part is run: `PART` names one. */
const wanted = (part) => !process.env.PART || process.env.PART === part;
const onlyPages = process.argv.includes("--pages");
const scratch = mkdtempSync(join(tmpdir(), "console-"));
const shots = process.env.SHOTS ?? join(scratch, "shots");
mkdirSync(shots, { recursive: true });

/** Records every text of the status bar from now on. */
async function record(page) {
  await page.evaluate(() => {
    const bar = document.querySelector("[data-testid=lifecycle]");
    window.texts = [bar.textContent];
    new MutationObserver(() => {
      if (bar.textContent !== window.texts.at(-1)) window.texts.push(bar.textContent);
    }).observe(bar, { childList: true, characterData: true, subtree: true });
  });
}

const state = (page, text) => page.getByTestId("lifecycle").getByText(text, { exact: true }).waitFor();
const card = (page, service) => page.locator(`[data-service=${service}]`);

async function firstRun(page, server) {
  await state(page, `Running :${server.routerPort}`);
  await page.getByText("First steps").waitFor();
  assert.equal(await page.getByTestId("state-qwen-proxy").textContent(), `Running :${server.qwenPort}`);
}

async function addProvider(page) {
  await page.getByRole("link", { name: "Providers", exact: true }).first().click();
  await page.getByRole("link", { name: "Add a provider" }).click();
  await page.getByRole("link", { name: /^Echo/ }).click();
  await page.getByLabel(/^Name/).fill("Second echo");
  assert.equal(await page.getByLabel(/^Id/).inputValue(), "second-echo");
  await page.getByRole("button", { name: "Save and test" }).click();
  await page.getByText(/^It answers/).waitFor();
}

async function firstAnswer(page) {
  await page.goto(new URL("/connect?model=echo", page.url()).href);
  const command = await page.locator("pre").first().textContent();
  const { stdout } = await promisify(execFile)("sh", ["-c", command]);
  assert.match(stdout, /data: \[DONE\]/);
  await page.getByRole("link", { name: "Requests", exact: true }).first().click();
  await page.getByRole("link", { name: /Is anybody there\?/ }).first().click();
  await page.getByRole("article", { name: "User" }).getByText("Is anybody there?").waitFor();
  await page.getByRole("article", { name: "Assistant" }).getByText("Is anybody there?").waitFor();
  await page.getByRole("tab", { name: "Raw" }).click();
  await page.getByText('"model": "echo",').waitFor();
}

async function lifecycle(page, server) {
  const running = `Running :${server.routerPort}`;
  await page.getByRole("link", { name: "Overview", exact: true }).first().click();
  await state(page, running);
  await record(page);
  await card(page, "provider-router").getByRole("button", { name: "Stop" }).click();
  await state(page, "Stopped");
  await card(page, "provider-router").getByRole("button", { name: "Start" }).click();
  await state(page, running);
  assert.deepEqual(await page.evaluate(() => window.texts), [running, "Stopping...", "Stopped", "Starting...", running]);
  assert.equal(await page.getByTestId("state-qwen-proxy").textContent(), `Running :${server.qwenPort}`, "the other service goes on");
  await page.reload();
  await state(page, running);
}

async function addRoute(page, server) {
  await page.goto(`${server.url}/routes/new`);
  const model = page.getByRole("textbox", { name: /^Model/ }).or(page.getByRole("combobox", { name: /^Model/ }));
  await model.first().fill("fast");
  await page.getByLabel(/^Provider/).selectOption("echo");
  await model.last().fill("echo");
  await page.getByLabel(/^Weight/).fill("0");
  // The browser reports refused requests.
  await expecting([/400/], async () => {
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("alert").getByText("targets[0].weight must be a whole number from 1 to 1000").waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.value), "0", "the mistake has the focus");
  });
  await page.getByLabel(/^Weight/).fill("2");
  page.once("dialog", (dialog) => void dialog.accept());
  await page.reload();
  await page.getByText("This is what you had entered").waitFor();
  assert.equal(await page.getByLabel(/^Weight/).inputValue(), "2", "input survives a reload");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { level: 1, name: "fast" }).waitFor();
  await page.getByRole("link", { name: "Routes", exact: true }).first().click();
  await page.getByText("echo/echo").waitFor();
}

async function createKey(page, server) {
  await page.goto(`${server.url}/keys`);
  await page.getByText("No key yet").waitFor();
  await page.getByRole("link", { name: "Create a key" }).first().click();
  await page.getByLabel(/^Name/).fill("ci");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByText(/^sbx-.{43}$/).waitFor();
  await page.getByRole("link", { name: "Routes", exact: true }).first().click();
  await page.getByRole("dialog", { name: "Have you stored the key?" }).getByRole("button", { name: "Show it again" }).click();
  await page.getByText(/^sbx-.{43}$/).waitFor();
  await page.getByRole("button", { name: "I have stored it" }).click();
  await page.getByRole("heading", { level: 1, name: "ci", exact: true }).waitFor();
  assert.doesNotMatch(await page.locator("body").innerText(), /sbx-.{43}/, "a key is shown once");
  await page.getByLabel(/^Owner/).fill("platform");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText(/^Saved/).waitFor();
  await askPlayground(page, server);
  // The router is open again for what follows.
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByLabel("Type ci to confirm").fill("ci");
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByText("No key yet").waitFor();
}

/** Presses a key until it has an effect: the page may still load what the key leads to. */
async function pressUntil(page, key, shown) {
  for (let n = 0; n < 20; n += 1) {
    await page.keyboard.press(key);
    const isShown = await shown.waitFor({ timeout: 1000 }).then(() => true, () => false);
    if (isShown) return;
  }
  throw new Error(`"${key}" has no effect`);
}

/** Asks the router, which wants a key now: the relay has its own. */
async function askPlayground(page, server) {
  const key = page.url();
  await page.goto(`${server.url}/playground?a=echo`);
  await page.getByLabel("Message").fill("Does the relay answer?");
  await page.keyboard.press("Control+Enter");
  await page.getByRole("link", { name: "In the log" }).click();
  await page.getByRole("article", { name: "Assistant" }).getByText("Does the relay answer?").waitFor();
  const says = (text) => page.getByRole("article", { name: "Assistant" }).getByText(text);
  await pressUntil(page, "[", says("Is anybody there?"));
  await pressUntil(page, "]", says("Does the relay answer?"));
  await page.goto(`${server.url}/usage?range=24h`);
  await page.getByText("the playground and repeated requests").waitFor();
  await page.goto(key);
}

async function signIn(context, server) {
  const page = await open(context, server, "/providers");
  await page.getByRole("dialog", { name: "Sign in" }).waitFor();
  await page.getByLabel("Control token").fill("sbx-wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("Not signed in.").waitFor();
  await page.getByLabel("Control token").fill(await server.token());
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("link", { name: "Echo", exact: true }).waitFor();
  await page.reload();
  await page.getByRole("link", { name: "Echo", exact: true }).waitFor();
  const [cookie] = await context.cookies();
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, "Strict", "/"]);
  await page.goto(`${server.url}/settings`);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("dialog", { name: "Sign in" }).waitFor();
  assert.equal((await context.request.get(`${server.url}/api/providers`)).status(), 401);
  await page.close();
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const server = await Server.start(bin, join(scratch, "open"), []);
const guarded = await Server.start(bin, join(scratch, "guarded"), ["--require-token"]);
let failed = false;

/** The first hour of somebody who has read nothing. */
async function story() {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await open(context, server, "/");
  await step("first run", () => firstRun(page, server));
  await step("add a provider", () => addProvider(page));
  await step("first answer", () => firstAnswer(page));
  await step("stop and start", () => lifecycle(page, server));
  await step("add a route", () => addRoute(page, server));
  await step("create a key", () => createKey(page, server));
  await step("a route with every section", () => routeWithSections(page, server));
  await step("a key with a queue", () => keyWithQueue(page, server));
  await step("sign in and out", () => expecting([/401/, /Unauthorized/], async () => signIn(await browser.newContext(), guarded)));
  await context.close();
}

/** What somebody does who has the console open every day, on a server of its own. */
async function everyDay() {
  const everyday = await Server.start(bin, join(scratch, "everyday"), []);
  const fake = await startFake(bin);
  try {
    await running(`http://127.0.0.1:${everyday.routerPort}`);
    await working.prepare(everyday, fake);
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    const { cancel, followed, conflicts, ticking, examine, login, restart } = working;
    await step("cancel a request", () => cancel(context, everyday));
    await step("follow requests", () => followed(context, everyday));
    // Before a range is chosen for the list, which the browser keeps.
    await step("keys", () => shell.keys(context, everyday));
    for (const part of ["replay", "replays", "attempts", "bodies"]) await step(`a request: ${part}`, () => request[part](context, everyday));
    await list.steps(step, context, everyday);
    await step("two tabs", () => conflicts(context, everyday));
    // A thousand models take their time.
    const parts = ["overview", "providers", "ownPrices", ...(smoke ? [] : ["models"])];
    for (const part of parts) await step(`catalogue: ${part}`, () => catalogue[part](context, everyday));
    await step("live figures", () => ticking(context, everyday));
    await operations.steps(step, context, everyday);
    await step("examine", () => examine(context, everyday));
    if (!smoke) await step("play faults", () => operations.faults(context, everyday));
    await step("paste a login", () => login(context, everyday));
    await step("the playground", () => playground(context, everyday));
    await step("logs", () => logs(context, everyday));
    await step("the palette", () => shell.palette(context, everyday));
    await step("time zones", () => shell.zones(browser, everyday));
    await step("on a phone", () => shell.phone(browser, everyday));
    await step("refused commands", () => shell.refused(context, everyday));
    await step("restart for a setting", () => restart(context, everyday));
    await step("api-server restarts", () => restarted(context, everyday));
    await step("a session ends", async () => expired(await browser.newContext(), guarded));
    await step("below a path", async () => belowPath(await browser.newContext(), everyday));
    await step("below an unnamed path", () => unnamedPath(context, everyday));
    await context.close();
  } finally {
    fake.stop();
    await everyday.stop();
  }
}

/** From an empty directory to an answer, by the console alone. */
async function beginner() {
  const fresh = await Server.start(bin, join(scratch, "fresh"), []);
  const fake = await startFake(bin, KEY);
  try {
    await step("from nothing to an answer", async () => newcomer(await browser.newContext({ viewport: { width: 1280, height: 800 } }), fresh, fake));
  } finally {
    fake.stop();
    await fresh.stop();
  }
}

try {
  if (!onlyPages) {
    if (wanted("beginner")) await beginner();
    if (wanted("everyday")) await everyDay();
    if (wanted("story")) await story();
  }
  if (!smoke) await send(server);
  const steps = [];
  if (!smoke && !onlyPages) {
    steps.push(
      ["by keyboard", () => withoutMouse(browser, server)],
      ["every control by keyboard", () => reachable(browser, server)],
      ["without motion, with forced colours", () => preferences(browser, server)],
    );
  }
  if (!smoke) {
    steps.push(
      ["pictures", () => pictures(browser, server, shots)],
      ["every page", () => everyPage(browser, { server, fresh: guarded, shots, axe })],
    );
  }
  for (const [name, work] of steps) if (!(await independent(name, work))) failed = true;
  if (!failed) console.log(smoke ? "passed" : `passed; the screenshots are in ${shots}`);
} catch (error) {
  failed = true;
  console.error(error);
} finally {
  await browser.close();
  await Promise.all([server.stop(), guarded.stop()]);
  if (smoke && !failed) rmSync(scratch, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
