/** Actions of buttons: idle, pending, then done or failed. */

import { useMutation } from "@tanstack/react-query";
import { asProblem, type Problem } from "../api/problem";
import { toast } from "./toast";

interface Action<In, Out> {
  run: (input: In) => void;
  pending: boolean;
  problem: Problem | null;
  result: Out | undefined;
  /** Forgets the outcome. */
  reset: () => void;
}

/** Wraps an asynchronous function. `done` is shown as a message; a failure is in `problem`, to be shown at the place. */
export function useAction<In = void, Out = unknown>(
  work: (input: In) => Promise<Out>,
  {
    done,
    after,
  }: { done?: string | ((out: Out) => string | undefined); after?: (out: Out, input: In) => unknown } = {},
): Action<In, Out> {
  const mutation = useMutation({
    mutationFn: work,
    onSuccess: async (out, input) => {
      await after?.(out, input);
      const text = typeof done === "function" ? done(out) : done;
      if (text) toast(text, { kind: "ok" });
    },
  });
  return {
    run: mutation.mutate,
    pending: mutation.isPending,
    problem: mutation.error === null ? null : asProblem(mutation.error),
    result: mutation.data,
    reset: mutation.reset,
  };
}

/** Runs something whose failure has no place of its own: it becomes a message. */
export async function attempt(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    toast(asProblem(error).message, { kind: "bad" });
  }
}
