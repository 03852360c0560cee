// The console over a million requests, and over a body of 5 MB. See README.md.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { open, problems, settled } from "./browser.mjs";
import { seed } from "./seed.mjs";
import { Server, tools } from "./server.mjs";

const ROWS = Number(process.env.ROWS ?? 1_000_000);
/** Milliseconds of processor time that a task of the page may take. Its duration also has what other programs took. */
const LONGEST_TASK = 200;
/** Megabytes that the page may keep after 2,000 rows were scrolled through. */
const MAX_GROWTH = 30;
const BODY = 5_000_000;

const { chromium } = tools();
const bin = resolve(process.env.BIN ?? join(process.env.CARGO_TARGET_DIR ?? "target", "debug"));
const scratch = mkdtempSync(join(tmpdir(), "console-heavy-"));
const data = join(scratch, "data");

/** Returns the processor times of the tasks of the page's main thread, in milliseconds, the longest first. */
function tasksOf(trace) {
  const { traceEvents } = JSON.parse(trace.toString());
  const main = new Set(
    traceEvents.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain").map(({ pid, tid }) => `${pid} ${tid}`),
  );
  return traceEvents
    .filter(({ name, pid, tid, tdur }) => name === "RunTask" && tdur !== undefined && main.has(`${pid} ${tid}`))
    .map(({ tdur }) => tdur / 1000)
    .sort((a, b) => b - a);
}

const results = [];

/** Measures one thing that somebody does. */
async function measured(browser, page, name, work) {
  await page.evaluate(() => {
    window.longTasks = [];
  });
  await browser.startTracing(page, { categories: ["disabled-by-default-devtools.timeline", "toplevel", "__metadata"] });
  const began = Date.now();
  await work();
  const took = Date.now() - began;
  const tasks = tasksOf(await browser.stopTracing());
  const seen = await page.evaluate(() => window.longTasks ?? []);
  assert.ok(tasks.length > 0, "the browser reports no tasks");
  results.push({ name, longest: tasks[0] });
  const longestSeen = Math.max(0, ...seen).toFixed(0);
  console.log(`     ${name}: ${took} ms; longest task ${tasks[0].toFixed(0)} ms of processor time, ${longestSeen} ms by the clock`);
}

async function heap(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.collectGarbage");
  const { metrics } = await session.send("Performance.enable").then(() => session.send("Performance.getMetrics"));
  await session.detach();
  const of = (wanted) => metrics.find(({ name }) => name === wanted).value;
  return { megabytes: of("JSHeapUsedSize") / 1e6, nodes: of("Nodes") };
}

/** Sends bodies of 5 MB: one of many small messages, and one of a single long line. */
async function sendBodies(server) {
  const router = `http://127.0.0.1:${server.routerPort}/v1/chat/completions`;
  const until = Date.now() + 60_000;
  while (!(await fetch(`http://127.0.0.1:${server.routerPort}/health`).catch(() => null))?.ok) {
    assert.ok(Date.now() < until, "the router does not answer");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const many = Array.from({ length: 25_000 }, (_, n) => ({ role: n % 2 ? "assistant" : "user", content: `Message ${n} ${"of many words ".repeat(10)}` }));
  const line = "The quick brown fox jumps over the lazy dog. ".repeat(Math.ceil(BODY / 45));
  const ids = [];
  for (const messages of [many, [{ role: "user", content: line }]]) {
    const answer = await fetch(router, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ model: "echo", messages }) });
    assert.equal(answer.status, 200, await answer.clone().text());
    await answer.text();
    ids.push(answer.headers.get("x-request-id"));
  }
  return ids;
}

async function rowsOf(page) {
  await page.locator("#main [data-row]").first().waitFor();
  return page.locator("#main [data-row]").count();
}

/** Scrolls down until so many rows were seen. */
async function scrollTo(page, wanted) {
  for (;;) {
    const last = await page.evaluate(() => {
      const main = document.getElementById("main");
      main.scrollTop += 2_000;
      const rows = [...document.querySelectorAll("#main [role=row][data-id]")].map((row) => Number(row.getAttribute("aria-rowindex")));
      return Math.max(0, ...rows);
    });
    if (last >= wanted) return;
    await page.waitForTimeout(30);
  }
}

async function requests(browser, page, server) {
  await measured(browser, page, "the list", async () => {
    await page.goto(`${server.url}/requests`);
    await rowsOf(page);
  });
  await page.getByText(/^1,0\d\d,\d{3} requests|^\d[\d,]* requests/).waitFor();
  const before = await heap(page);
  await measured(browser, page, "2,000 rows down", () => scrollTo(page, 2_000));
  const shown = await rowsOf(page);
  assert.ok(shown <= 100, `${shown} rows are in the document`);
  await measured(browser, page, "back to the top", async () => {
    await page.evaluate(() => document.getElementById("main").scrollTo(0, 0));
    await page.locator('#main [role=row][data-id][aria-rowindex="2"]').waitFor();
  });
  const after = await heap(page);
  console.log(`     heap ${before.megabytes.toFixed(1)} MB, then ${after.megabytes.toFixed(1)} MB; ${after.nodes} nodes`);
  assert.ok(after.megabytes - before.megabytes < MAX_GROWTH, "2,000 rows take too much memory");
  await measured(browser, page, "failed ones", async () => {
    await page.getByRole("button", { name: /^State: / }).click();
    await page.getByRole("checkbox", { name: /^failed/ }).check();
    await page.keyboard.press("Escape");
    await page.getByText("the provider has no quota left").first().waitFor();
  });
  await measured(browser, page, "a search", async () => {
    await page.goto(`${server.url}/requests?q=Question%20999`);
    await rowsOf(page);
  });
}

async function bodies(browser, page, server, [many, line]) {
  await measured(browser, page, "25,000 messages", async () => {
    await page.goto(`${server.url}/requests/${many}`);
    await page.getByText("Message 0 of many words").first().waitFor();
  });
  await measured(browser, page, "5 MB, raw", async () => {
    await page.getByRole("tab", { name: "Raw" }).click();
    await page.getByText('"model": "echo",').waitFor();
  });
  await measured(browser, page, "finding in 5 MB", async () => {
    await page.getByRole("searchbox", { name: /^Find in/ }).pressSequentially("Message 24999");
    await page.getByText("1 of 1", { exact: true }).waitFor();
    await page.keyboard.press("Enter");
    await page.getByText("Message 24999 of many").first().waitFor();
  });
  await measured(browser, page, "5 MB, as it is", async () => {
    await page.getByRole("button", { name: "As it is" }).click();
    await page.getByRole("button", { name: "Pretty" }).waitFor();
  });
  await measured(browser, page, "one line of 5 MB", async () => {
    await page.goto(`${server.url}/requests/${line}`);
    await page.getByText("The quick brown fox").first().waitFor();
  });
  await measured(browser, page, "one line, raw", async () => {
    await page.getByRole("tab", { name: "Raw" }).click();
    await page.getByText('"model": "echo",').waitFor();
  });
}

const pages = (browser, page, server) =>
  ["/", "/live?range=30d", "/live?range=30d&by=model", "/usage?by=model", "/sessions"].reduce(
    (before, address) =>
      before.then(() =>
        measured(browser, page, address, async () => {
          await page.goto(server.url + address);
          await settled(page);
        }),
      ),
    Promise.resolve(),
  );

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
let server;
let failed = false;
try {
  // The programs make the tables.
  await (await Server.start(bin, data, [])).stop();
  const began = Date.now();
  await seed(data, ROWS);
  console.log(`     ${ROWS.toLocaleString("en-GB")} requests written in ${Date.now() - began} ms`);
  server = await Server.start(bin, data, []);
  const ids = await sendBodies(server);
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  await context.addInitScript(() => {
    window.longTasks = [];
    new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask", buffered: true });
  });
  const page = await open(context, server, "/connect");
  await requests(browser, page, server);
  await bodies(browser, page, server, ids);
  await pages(browser, page, server);
  assert.deepEqual(problems, []);
  const slow = results.filter(({ longest }) => longest > LONGEST_TASK);
  assert.deepEqual(slow, [], `tasks of more than ${LONGEST_TASK} ms`);
  console.log("passed");
} catch (error) {
  failed = true;
  console.error(error);
} finally {
  await browser.close();
  await server?.stop();
  rmSync(scratch, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
