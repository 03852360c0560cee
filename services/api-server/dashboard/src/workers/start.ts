/** Starting of workers under Trusted Types: one policy, which permits the workers of this build only. */

import diffUrl from "./diff.worker?worker&url";
import type { Calls, Refusal, Source } from "./reader";
import readerUrl from "./reader.worker?worker&url";
import turnsUrl from "./turns.worker?worker&url";

interface Policy {
  createScriptURL: (url: string) => string;
}

/** The workers of this build. */
const WORKERS = [diffUrl, readerUrl, turnsUrl];

let policy: Policy | null = null;

/** Returns the address of a worker as the policy of the page wants it. */
export function trusted(url: string): string {
  const factory = (window as { trustedTypes?: { createPolicy: (name: string, rules: Policy) => Policy } }).trustedTypes;
  if (!factory) return url;
  policy ??= factory.createPolicy("signalbox-worker", {
    createScriptURL: (wanted) => {
      if (!WORKERS.includes(wanted)) throw new TypeError(`not a worker of the console: ${wanted}`);
      return wanted;
    },
  });
  return policy.createScriptURL(url);
}

/** Reason why a worker has not done what it was asked. */
export class WorkerFailure extends Error {
  constructor(
    message: string,
    readonly refusal?: Refusal,
  ) {
    super(message);
  }
}

interface Reply {
  id: number;
  output?: unknown;
  message?: string;
  isOffline?: boolean;
  refusal?: Refusal;
}

/** A worker that answers calls in their order. */
class Caller {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve: (output: never) => void; reject: (error: unknown) => void }>();
  #last = 0;

  constructor(url: string, signal: AbortSignal) {
    this.#worker = new Worker(trusted(url), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      const call = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (data.message === undefined) call?.resolve(data.output as never);
      // The page knows this error as one of the connection.
      else if (data.isOffline) call?.reject(new TypeError(data.message));
      else call?.reject(new WorkerFailure(data.message, data.refusal));
    };
    this.#worker.onerror = (event) => this.#end(new WorkerFailure(event.message || "The text could not be read."));
    signal.addEventListener("abort", () => this.#end(signal.reason));
  }

  call<T>(name: string, input: unknown): Promise<T> {
    const id = ++this.#last;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, name, input });
    });
  }

  #end(reason: unknown): void {
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }
}

/** A reader in a worker. It ends with its signal. */
export interface RemoteReader {
  call<K extends keyof Calls>(name: K, input: Calls[K]["input"]): Promise<Calls[K]["output"]>;
}

export function startReader(signal: AbortSignal): RemoteReader {
  return new Caller(readerUrl, signal);
}

/** Opens a text in a worker, which ends with the signal. */
export async function openReader(source: Source, signal: AbortSignal) {
  const reader = startReader(signal);
  const opened = await reader.call("open", source);
  return { reader, opened };
}

/** Compares two texts in a worker of its own, which ends with the answer or the signal. */
export async function compareTexts<T>(input: unknown, signal: AbortSignal): Promise<T> {
  const end = new AbortController();
  signal.addEventListener("abort", () => end.abort(signal.reason));
  try {
    return await new Caller(diffUrl, end.signal).call<T>("compare", input);
  } finally {
    end.abort(new WorkerFailure("The comparison has ended."));
  }
}
