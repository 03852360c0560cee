// The console under live traffic: what the page keeps must not grow. See README.md.
//
//   node tests/console/soak.mjs [MINUTES]
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { open, problems, settled } from "./browser.mjs";
import { Server, tools } from "./server.mjs";
import { running } from "./traffic.mjs";

const MINUTES = Number(process.argv[2] ?? 2);
/** Requests per second. */
const RATE = Number(process.env.RATE ?? 10);
/** What the page may keep at the end, as a multiple of what it kept after the first rounds. */
const MOST = { heap: 1.25, nodes: 1.2, listeners: 1.2 };
/**
 * Rounds before the first measurement, in which every part of the program is loaded, and the share of the time before
 * it, in which lists, logs and charts fill up to their bounds. The chart of the last hour has its last bar after an hour.
 */
const WARM_UP = { rounds: 3, share: 1 / 6 };
/** Requests that are answered while a page is shown. */
const DWELL = 30;
const PAGES = ["Live", "Requests", "Logs", "Overview"];

assert.ok(MINUTES > 0, "the time is a number of minutes");
const { chromium } = tools();
const bin = resolve(process.env.BIN ?? join(process.env.CARGO_TARGET_DIR ?? "target", "debug"));
const scratch = mkdtempSync(join(tmpdir(), "console-soak-"));

/** Requests at a steady rate: streams, whole answers, and one in ten that fails. */
class Traffic {
  answered = 0;
  #sent = 0;
  #waiting = [];

  constructor(router) {
    this.timer = setInterval(() => void this.#send(router), 1000 / RATE);
  }

  async #send(router) {
    const n = this.#sent++;
    const body = { model: n % 10 === 9 ? "no-such-model" : "echo", stream: n % 2 === 0, messages: [{ role: "user", content: `Question ${n}` }] };
    const headers = { "content-type": "application/json", "x-session-id": `soak-${n % 20}` };
    const answer = await fetch(`${router}/v1/chat/completions`, { method: "POST", headers, body: JSON.stringify(body) });
    await answer.text();
    this.answered += 1;
    this.#waiting = this.#waiting.filter(({ at, done }) => this.answered < at || done());
  }

  /** Waits until so many more requests were answered. */
  more(count) {
    return new Promise((done) => this.#waiting.push({ at: this.answered + count, done }));
  }

  stop() {
    clearInterval(this.timer);
  }
}

/** Returns what the page keeps once everything that can be collected was. */
async function kept(session) {
  await session.send("HeapProfiler.collectGarbage");
  const { metrics } = await session.send("Performance.getMetrics");
  const of = (wanted) => metrics.find(({ name }) => name === wanted).value;
  return { heap: of("JSHeapUsedSize"), nodes: of("Nodes"), listeners: of("JSEventListeners") };
}

const words = ({ heap, nodes, listeners }) => `${(heap / 1e6).toFixed(1)} MB, ${nodes} nodes, ${listeners} listeners`;

/** Shows every page for a while, by its link. The last one is that on which is measured. */
async function round(page, traffic) {
  for (const name of PAGES) {
    await page.getByRole("navigation", { name: "Pages", exact: true }).getByRole("link", { name, exact: true }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    await settled(page);
    await traffic.more(DWELL);
  }
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
let server;
let traffic;
let failed = false;
try {
  server = await Server.start(bin, join(scratch, "data"), []);
  const router = `http://127.0.0.1:${server.routerPort}`;
  await running(router);
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await open(context, server, "/");
  const session = await context.newCDPSession(page);
  await session.send("Performance.enable");
  traffic = new Traffic(router);
  const rounds = [];
  const until = Date.now() + MINUTES * 60_000;
  let first;
  while (Date.now() < until || rounds.length <= WARM_UP.rounds) {
    await round(page, traffic);
    rounds.push(await kept(session));
    if (rounds.length >= WARM_UP.rounds && until - Date.now() <= MINUTES * 60_000 * (1 - WARM_UP.share)) {
      first ??= { ...rounds.at(-1), rounds: rounds.length };
    }
    const minutes = MINUTES - (until - Date.now()) / 60_000;
    console.log(`     ${minutes.toFixed(1)} min, ${traffic.answered} requests: ${words(rounds.at(-1))}`);
  }
  const last = rounds.at(-1);
  assert.deepEqual(problems, []);
  for (const [what, most] of Object.entries(MOST)) {
    const ratio = last[what] / first[what];
    assert.ok(ratio <= most, `${what}: ${ratio.toFixed(2)} times as much as after ${first.rounds} rounds, and ${most} at most`);
  }
  console.log(`passed: ${words(first)} after ${first.rounds} rounds, ${words(last)} after ${rounds.length}`);
} catch (error) {
  failed = true;
  console.error(error);
} finally {
  traffic?.stop();
  await browser.close();
  await server?.stop();
  rmSync(scratch, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
