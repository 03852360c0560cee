/** Starting of workers under Trusted Types: one policy, which permits the workers of this build only. */

import { type Lines, linesOf } from "./lines";
import linesUrl from "./lines.worker?worker&url";
import turnsUrl from "./turns.worker?worker&url";

interface Policy {
  createScriptURL: (url: string) => string;
}

let policy: Policy | null = null;

/** Returns the address of a worker as the policy of the page wants it. */
export function trusted(url: string): string {
  const factory = (window as { trustedTypes?: { createPolicy: (name: string, rules: Policy) => Policy } }).trustedTypes;
  if (!factory) return url;
  policy ??= factory.createPolicy("signalbox-worker", {
    createScriptURL: (wanted) => {
      if (wanted !== linesUrl && wanted !== turnsUrl) throw new TypeError(`not a worker of the console: ${wanted}`);
      return wanted;
    },
  });
  return policy.createScriptURL(url);
}

/** Characters up to which a text is split on the page itself. */
const SMALL = 50_000;

/** Splits a text into lines, in a worker if it is large. */
export function splitLines(text: string, pretty: boolean, signal: AbortSignal): Promise<Lines> {
  if (text.length <= SMALL) return Promise.resolve(linesOf(text, pretty));
  return new Promise((resolve, reject) => {
    const worker = new Worker(trusted(linesUrl), { type: "module" });
    signal.addEventListener("abort", () => worker.terminate());
    worker.onmessage = (event: MessageEvent<Lines>) => {
      resolve(event.data);
      worker.terminate();
    };
    worker.onerror = (event) => {
      reject(new Error(event.message || "The text could not be read."));
      worker.terminate();
    };
    worker.postMessage({ text, pretty });
  });
}
