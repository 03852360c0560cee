import { compare, type ToCompare } from "./diff";

addEventListener("message", ({ data: { id, input } }: MessageEvent<{ id: number; input: ToCompare }>) => {
  try {
    postMessage({ id, output: compare(input) });
  } catch (error) {
    postMessage({ id, message: error instanceof Error ? error.message : String(error) });
  }
});
