// What the Node scripts have in common: their arguments, the questions, and the runner of their checks.
//
// Arguments: BASE_URL [MODEL_PREFIX [native]]. With `native`, the provider speaks the API of the script, so that what a
// translation cannot carry is checked, too. Prints one line for each check; the exit status is 1 if one failed.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

export const TEXT = "The quick brown fox jumps over the lazy dog.";
export const WORDS = 9;
export const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";
export const PNG_SEEN = "image/png 69";
export const CITY = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
export const REPORT = "Oslo: 7 degrees; Rome: 7 degrees; Lima: 7 degrees";
export const JSON_ANSWER = { city: "Oslo", degrees: 7 };

export const [baseURL, prefix = "", mode] = process.argv.slice(2);
// Many clients take the clean end of an unfinished answer for its end, so a gateway must not pass it.
export const BROKEN = ["fake-reset-5", "fake-close-5", "fake-error-5", ...(prefix ? ["fake-end-5"] : [])];
export const native = mode === "native";

export const model = (name) => prefix + name;
export const weather = (city) => `${city}: 7 degrees`;

/** Returns a model that refuses its first call with 429 and a Retry-After of 1 s. */
export const flaky = () => `fake-flaky-${randomUUID()}`;

/** Checks that an action takes at least the second of the Retry-After. */
export async function retried(action) {
  const begun = performance.now();
  const answer = await action();
  assert.ok(performance.now() - begun >= 990, "Retry-After was not obeyed");
  return answer;
}

export async function collect(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

/** Returns whether an error is that of a broken answer, not of an unknown route or model. */
export const isBreak = (error) => ![400, 404].includes(error.status ?? error.statusCode);

/** Runs the checks one after the other. */
export async function run(checks) {
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log("ok", name);
    } catch (error) {
      process.exitCode = 1;
      console.log("FAILED", name);
      console.error(error);
    }
  }
}
