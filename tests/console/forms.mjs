// The forms of routes and keys: sections are added, changed and removed, and what was not edited stays.
import assert from "node:assert/strict";
import { expecting, settled } from "./browser.mjs";

/** Returns a stored document without what the server sets. */
async function stored(server, path) {
  const { id, hint, problems, created_at, updated_at, ...document } = await (await fetch(server.url + path)).json();
  return Object.fromEntries(Object.entries(document).filter(([, value]) => value !== null));
}

const fold = (page, title) => page.locator("details").filter({ has: page.getByRole("heading", { level: 2, name: title }) });

async function unfold(page, title) {
  const box = fold(page, title);
  await box.locator("summary").click();
  return box;
}

const save = (page) => page.getByRole("button", { name: "Save" }).click();
const saved = (page) => page.getByRole("status").getByText("Saved. It is in force within a second.").first().waitFor();

/** A route with a cache, limits, a queue and a second attempt, whose missing part is named first. */
export async function routeWithSections(page, server) {
  await page.goto(`${server.url}/routes/new`);
  await settled(page);
  const model = page.getByRole("textbox", { name: /^Model/ }).or(page.getByRole("combobox", { name: /^Model/ }));
  await model.first().fill("whole");
  await page.getByLabel(/^Provider required/).selectOption("echo");
  await page.getByRole("combobox", { name: /^Model required/ }).last().fill("echo");
  const cache = await unfold(page, "Cache");
  await cache.getByLabel("Shared by").selectOption("all");
  const limits = await unfold(page, "Limits");
  await limits.getByLabel("Requests per minute").fill("600");
  await limits.getByLabel("Waiting requests").fill("20");
  await limits.getByLabel("Longest wait").fill("5000");
  const hedging = await unfold(page, "Hedging and mirroring");
  await hedging.getByLabel("Quantile").fill("0.95");
  await hedging.getByLabel("Shortest wait").fill("200");
  // A mistake that the form finds itself opens its section.
  await cache.locator("summary").click();
  await save(page);
  await cache.getByText("cache.ttl_ms is required").waitFor();
  await page.waitForFunction(() => document.activeElement?.getAttribute("aria-invalid") === "true");
  // And so does one that only the server finds.
  await cache.getByLabel("Time to live").fill("60000");
  await hedging.getByLabel("Quantile").fill("2");
  await hedging.locator("summary").click();
  await expecting([/400/], async () => {
    await save(page);
    await hedging.getByText(/^hedge\.quantile must /).waitFor();
  });
  await hedging.getByLabel("Quantile").fill("0.9");
  // A mistake of a section as a whole is shown in it.
  await hedging.locator("summary").click();
  await expecting([/400/], async () => {
    await save(page);
    await hedging.getByText("hedge needs a second target to ask").waitFor();
  });
  await page.getByRole("button", { name: "Add a target" }).click();
  await page.getByLabel(/^Provider required/).last().selectOption("second-echo");
  await page.getByRole("combobox", { name: /^Model required/ }).last().fill("echo");
  await save(page);
  await page.getByRole("heading", { level: 1, name: "whole", exact: true }).waitFor();
  const path = `/api${new URL(page.url()).pathname}`;
  const before = await stored(server, path);
  assert.deepEqual(before.cache, { ...before.cache, scope: "all", ttl_ms: 60_000 });
  assert.deepEqual(before.hedge, { quantile: 0.9, min_ms: 200 });
  assert.equal(before.limits.rpm, 600);
  assert.deepEqual(before.limits.queue, { max_waiting: 20, timeout_ms: 5_000 });
  // An edit elsewhere keeps them, and a removed section is gone.
  await page.getByLabel("Retries").fill("3");
  await (await unfold(page, "Cache")).getByRole("button", { name: /^Remove/ }).click();
  await save(page);
  await saved(page);
  const { cache: _, ...rest } = before;
  assert.deepEqual(await stored(server, path), { ...rest, retries: 3 });
  // An open page would say that it is gone.
  await page.goto("about:blank");
  await fetch(server.url + path, { method: "DELETE" });
}

/** A key with fields of every kind: editing one of them leaves the others. */
export async function keyWithQueue(page, server) {
  const document = {
    name: "queued", owner: "platform", tags: ["a"], models: ["echo*"], surfaces: ["chat"], addresses: ["127.0.0.0/8"], priority: "low", strict: true,
    limits: { rpm: 60, queue: { max_waiting: 20, timeout_ms: 5_000 } }, budget: { amount_usd: 2.5, period: "week" }, log_bodies: "redact",
    guard: { cards: "refuse", max_request_bytes: 100_000 },
  };
  const made = await fetch(`${server.url}/api/keys`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(document),
  });
  assert.equal(made.status, 201, await made.clone().text());
  const path = `/api/keys/${(await made.json()).id}`;
  const before = await stored(server, path);
  await page.goto(server.url + path.replace("/api", ""));
  await settled(page);
  await page.getByLabel("Requests per minute").fill("90");
  await save(page);
  await saved(page);
  assert.deepEqual(await stored(server, path), { ...before, limits: { ...before.limits, rpm: 90 } });
  const waiting = await unfold(page, "Waiting at a limit");
  assert.equal(await waiting.getByLabel("Waiting requests").inputValue(), "20");
  await waiting.getByLabel("Longest wait").fill("7000");
  await save(page);
  await saved(page);
  const queue = { max_waiting: 20, timeout_ms: 7_000 };
  assert.deepEqual(await stored(server, path), { ...before, limits: { ...before.limits, rpm: 90, queue } });
  // An open page would say that it is gone.
  await page.goto("about:blank");
  await fetch(server.url + path, { method: "DELETE" });
}
