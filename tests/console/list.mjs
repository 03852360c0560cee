// The list of requests as somebody works with it: filters, figures, peeking, marks, export, a time, and the way back.
import assert from "node:assert/strict";
import { open, settled } from "./browser.mjs";

const ROWS = "#main [data-row][data-request]";
const SESSION = "5e551011-0000-4000-8000-000000000001";

async function ask(server, model, text, { stream = false, headers = {} } = {}) {
  const answer = await fetch(`http://127.0.0.1:${server.routerPort}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ model, stream, messages: [{ role: "user", content: text }] }),
  });
  await answer.text();
  return answer.headers.get("x-request-id");
}

/** Waits until the log has a number of requests that match. */
async function logged(server, query, expected) {
  for (let n = 0; n < 600; n += 1) {
    const { total } = await (await fetch(`${server.url}/api/requests?limit=1&${query}`)).json();
    if (total >= expected) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the log does not have ${expected} requests with ${query}`);
}

const ids = (page) => page.locator(ROWS).evaluateAll((rows) => rows.map((row) => row.dataset.request));
const rowOf = (page, id) => page.locator(`#main [role=row][data-id="${id}"]`);
const found = (page, text) => page.getByRole("status").filter({ hasText: text }).first().waitFor();

/** Sends requests of two models, of which one fails. Returns the ids of those of one session. */
export async function prepareList(server) {
  const own = [];
  for (let n = 0; n < 30; n += 1) own.push(await ask(server, "quick", `Question ${n} of the list`, { headers: { "x-session-id": SESSION } }));
  await ask(server, "fake/fake-500", "This one fails");
  await ask(server, "echo", "Of another model", { stream: true });
  await logged(server, "model=quick&status=completed", own.length);
  return own;
}

/** Opens a list of filters, and checks some of its boxes. */
async function choose(page, name, values) {
  await page.getByRole("button", { name: new RegExp(`^${name}: `) }).click();
  const list = page.getByRole("dialog", { name, exact: true });
  for (const value of values) await list.getByRole("checkbox", { name: value }).check();
  await page.keyboard.press("Escape");
  await list.waitFor({ state: "hidden" });
}

/** Filters are in the address, several values of one included, and each can be cleared. */
export async function filtered(context, server) {
  const page = await open(context, server, "/requests");
  await page.locator(ROWS).first().waitFor();
  const asked = [];
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.pathname.endsWith("/api/requests")) asked.push(url.searchParams);
  });
  await choose(page, "Model", [/^quick/, /^echo/]);
  await page.waitForFunction(() => location.search.includes("quick") && location.search.includes("echo"));
  await choose(page, "State", [/^completed/]);
  await page.getByRole("button", { name: "Clear model: quick, echo" }).waitFor();
  await page.waitForFunction((rows) => [...document.querySelectorAll(rows)].every((row) => row.textContent.includes("completed")), ROWS);
  const list = asked.find((query) => query.get("status") === "completed" && query.get("limit") === "50" && query.has("view"));
  assert.deepEqual([list.getAll("model"), list.get("view"), list.get("count")], [["quick", "echo"], "short", "false"]);
  await page.reload();
  await page.getByRole("button", { name: "Clear state: completed" }).click();
  await page.getByRole("button", { name: /^Clear model/ }).waitFor();
  assert.equal(await page.getByRole("button", { name: /^Clear state/ }).count(), 0);
  await page.getByRole("button", { name: "Clear filters" }).click();
  await page.getByRole("button", { name: /^Clear model/ }).waitFor({ state: "detached" });
  await page.getByRole("button", { name: "More filters" }).click();
  await page.getByLabel("Took at least").fill("soon");
  await page.getByText("Enter a time such as").waitFor();
  await page.getByLabel("Took at least").fill("90 min");
  await page.keyboard.press("Enter");
  await page.getByText("Nothing matches").waitFor();
  // The last choice of the time is kept for an address without one.
  await page.getByRole("button", { name: "Clear filters" }).first().click();
  await page.getByLabel("Time", { exact: true }).selectOption("1h");
  await page.waitForURL(/range=1h/);
  await page.goto(`${server.url}/requests`);
  await page.waitForURL(/range=1h/);
  await page.close();
}

/** The figures are those of the filters, and say when they are not of all. */
export async function figures(context, server) {
  const page = await open(context, server, "/requests?model=quick&range=1h");
  const strip = page.getByRole("region", { name: "Figures" });
  const figure = (name) => strip.locator("dl > div").filter({ has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) }).locator("dd");
  await figure("Requests").getByText(/^3\d/).waitFor();
  const bars = strip.getByRole("group", { name: /^Requests over time/ });
  await bars.getByRole("button", { name: /[1-9]\d* requests?, 0 failed/ }).last().focus();
  await page.keyboard.press("Shift+ArrowLeft");
  await page.keyboard.press("Enter");
  await page.waitForURL(/from=\d+/);
  await page.getByRole("button", { name: /^Clear time: from/ }).waitFor();
  await page.getByLabel("From", { exact: true }).waitFor();
  await page.goto(`${server.url}/requests?session=${SESSION}`);
  await figure("Requests").getByText("30").waitFor();
  await page.close();
}

/** A row is looked at beside the list, which goes with the keys; rows are marked, exported and deleted. */
export async function peeked(context, server, own) {
  const page = await open(context, server, `/requests?session=${SESSION}`);
  await page.locator(ROWS).first().waitFor();
  assert.deepEqual((await ids(page)).slice(0, 3), own.toReversed().slice(0, 3), "the newest are the first");
  await page.keyboard.press("j");
  await page.keyboard.press("Space");
  const peek = page.getByRole("complementary", { name: "The request beside the list" });
  await peek.getByText("Question 29 of the list").first().waitFor();
  await page.keyboard.press("j");
  await peek.getByText("Question 28 of the list").first().waitFor();
  assert.match(page.url(), new RegExp(`peek=${own[28]}`));
  await page.keyboard.press("Escape");
  await peek.waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => document.activeElement.dataset.request), own[28], "the focus stays");
  await page.keyboard.press("x");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("x");
  const bar = page.getByRole("toolbar", { name: "Marked requests" });
  await bar.getByText("2 marked").waitFor();
  await bar.getByRole("button", { name: "Export" }).click();
  const dialog = page.getByRole("dialog", { name: "Export" });
  await dialog.getByText("2 requests").waitFor();
  const [file] = await Promise.all([page.waitForEvent("download"), dialog.getByRole("button", { name: "Download" }).click()]);
  assert.equal(file.suggestedFilename(), "requests.ndjson");
  await dialog.getByRole("button", { name: "Close" }).click();
  await bar.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog", { name: "Delete 2 requests?" }).getByRole("button", { name: "Delete" }).click();
  await bar.waitFor({ state: "detached" });
  await rowOf(page, own[28]).waitFor({ state: "detached" });
  assert.equal((await fetch(`${server.url}/api/requests/${own[27]}`)).status, 404);
  await page.close();
}

/** An export has the filters of the list, and says how many requests it has. */
export async function exported(context, server) {
  const page = await open(context, server, "/requests?model=quick&range=1h");
  await page.locator(ROWS).first().waitFor();
  await page.getByRole("button", { name: "Export" }).click();
  const dialog = page.getByRole("dialog", { name: "Export" });
  const words = await dialog.getByText(/^\d+ requests$/).textContent();
  await dialog.getByLabel(/^Format/).selectOption("csv");
  const link = dialog.getByRole("link", { name: "Download" });
  const [file] = await Promise.all([page.waitForEvent("download"), link.click()]);
  assert.equal(file.suggestedFilename(), "requests.csv");
  const text = await (await context.request.get(await link.evaluate((one) => one.href))).text();
  assert.equal(text.trim().split("\r\n").length - 1, Number.parseInt(words, 10), "as many as were announced");
  assert.match(text, /,quick,/);
  await page.close();
}

/** Back from a request, the same rows are at the same place, and the same one has the focus. */
export async function back(context, server) {
  const page = await open(context, server, `/requests?session=${SESSION}`);
  await page.setViewportSize({ width: 1280, height: 500 });
  await page.locator(ROWS).first().waitFor();
  for (let n = 0; n < 18; n += 1) await page.keyboard.press("j");
  const place = () => page.evaluate(() => [Math.round(document.getElementById("main").scrollTop), document.activeElement.dataset.request]);
  const before = await place();
  assert.ok(before[0] > 0, "the list is scrolled");
  for (const way of ["history", "link"]) {
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/requests\/[^?]/);
    await page.getByRole("article").first().waitFor();
    if (way === "history") await page.goBack();
    else await page.locator("#main").getByRole("link", { name: "Requests", exact: true }).click();
    await page.waitForURL(new RegExp(`session=${SESSION}`));
    await page.waitForFunction((id) => document.activeElement.dataset.request === id, before[1]);
    assert.deepEqual(await place(), before, `by ${way}`);
  }
  await page.close();
}

/** The list begins at a time, with newer requests above. */
export async function atTime(context, server, own) {
  const { timestamp } = await (await fetch(`${server.url}/api/requests/${own[10]}?view=short`)).json();
  const page = await open(context, server, `/requests?session=${SESSION}&at=${timestamp}`);
  await page.setViewportSize({ width: 1280, height: 500 });
  const grid = page.getByRole("grid", { name: "Requests" });
  await rowOf(page, own[10]).waitFor();
  await grid.locator("[role=row][aria-rowindex]").first().waitFor();
  await page.evaluate(() => document.getElementById("main").scrollTo(0, 0));
  await rowOf(page, own[29]).waitFor();
  await page.getByRole("button", { name: /^Begins at/ }).click();
  await page.waitForURL((url) => !url.searchParams.has("at"));
  await rowOf(page, own[29]).waitFor();
  await page.close();
}

/** Sessions are found by a text, and show their sums; a conversation is read turn by turn. */
export async function sessions(context, server) {
  const page = await open(context, server, "/sessions?q=Question%2021%20of%20the%20list");
  await found(page, "1 session found");
  const row = page.getByRole("row").filter({ hasText: "Question 0 of the list" });
  await row.getByText("1 found").waitFor();
  const bodies = [];
  page.on("request", (request) => {
    if (/\/body\/(asked|answered)$/.test(request.url())) bodies.push(request.url());
  });
  await row.getByRole("link").first().click();
  await page.getByText(/without an error/).waitFor();
  await page.getByRole("article", { name: "User" }).getByText("Question 9 of the list").waitFor();
  assert.ok(bodies.length < 40, "what is not in view is not read");
  await page.getByRole("region", { name: /^Request of/ }).last().scrollIntoViewIfNeeded();
  await page.getByRole("article", { name: "Assistant" }).getByText("Question 29 of the list").waitFor();
  await page.getByRole("button", { name: "Show earlier requests" }).click();
  await page.getByRole("article", { name: "User" }).getByText("Question 0 of the list").waitFor();
  assert.equal(new Set(bodies).size, bodies.length, "each body is read once");
  await settled(page);
  await page.close();
}

/** All steps, over the same requests. */
export async function steps(step, context, server) {
  const own = await prepareList(server);
  await step("filter requests", () => filtered(context, server));
  await step("figures of requests", () => figures(context, server));
  await step("peek and mark", () => peeked(context, server, own));
  await step("export requests", () => exported(context, server));
  await step("back to the list", () => back(context, server));
  await step("requests of a time", () => atTime(context, server, own));
  await step("search sessions", () => sessions(context, server));
}
