// Pages of the browser that report what goes wrong on them.
import assert from "node:assert/strict";

/** Milliseconds in which a page has to show what is waited for; machines that build at the same time are slow. */
const STEP_TIMEOUT = Number(process.env.STEP_TIMEOUT ?? 90_000);

/** Problems that any page has shown. */
export const problems = [];
/** Failures that a step provokes. */
let expected = [];

/** Runs a step in which the browser may report these failures. */
export async function expecting(patterns, work) {
  const before = expected;
  expected = [...before, ...patterns];
  try {
    return await work();
  } finally {
    expected = before;
  }
}

function watch(page, origin) {
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !expected.some((pattern) => pattern.test(text))) problems.push(`${page.url()}: ${text}`);
  });
  page.on("pageerror", (error) => problems.push(`${page.url()}: ${error.message}`));
  page.on("request", (request) => {
    const url = request.url();
    if (/^(https?|wss?):/.test(url) && new URL(url).host !== new URL(origin).host) problems.push(`${page.url()}: asks ${url}`);
  });
}

export async function open(context, server, path) {
  const page = await context.newPage();
  page.setDefaultTimeout(STEP_TIMEOUT);
  watch(page, server.url);
  await page.goto(server.url + path);
  return page;
}

/** Waits until a page shows what it has loaded. */
export async function settled(page) {
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.waitForFunction(() => document.querySelector("[role=status][aria-label=Loading]") === null);
}

/** Waits until a field of a page has a value. */
export async function holds(page, field, value) {
  const handle = await field.elementHandle();
  await page.waitForFunction(([element, expected]) => element.value === expected, [handle, value]);
}

export async function step(name, work) {
  const began = Date.now();
  await work();
  assert.deepEqual(problems.splice(0), [], name);
  console.log(`ok   ${name} (${Date.now() - began} ms)`);
}

/** Runs a step that no other one depends on, so that one run tells all that is wrong. Returns whether it succeeded. */
export async function independent(name, work) {
  try {
    await step(name, work);
    return true;
  } catch (error) {
    console.error(`failed: ${name}`, error);
    return false;
  }
}
