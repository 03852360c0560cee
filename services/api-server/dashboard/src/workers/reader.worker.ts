import { type Calls, Reader, Refused } from "./reader";

/** A call, with a number that its answer repeats. */
interface Call {
  id: number;
  name: keyof Calls;
  input: never;
}

const reader = new Reader();

addEventListener("message", async ({ data: { id, name, input } }: MessageEvent<Call>) => {
  try {
    postMessage({ id, output: await reader[name](input) });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const refusal = error instanceof Refused ? error.refusal : undefined;
    postMessage({ id, message, refusal, isOffline: name === "open" && error instanceof TypeError });
  }
});
