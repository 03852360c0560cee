/** Requests in flight: how far one has come, and its cancellation. */

import { cancelRequest, type InFlightRequest, inFlightQuery } from "../api/in-flight";
import { queryClient } from "../api/queries";
import { count } from "../format/numbers";
import { ask } from "./dialog";

/** Returns the words for how far a request has come. */
export function progressOf({ phase, attempts }: Pick<InFlightRequest, "phase" | "attempts">): string {
  if (phase !== "waiting") return phase;
  return attempts > 1 ? `waiting, attempt ${count(attempts)}` : "waiting";
}

/** A request that may be cancelled. Its phase is known while it is looked at in flight. */
type Cancellable = Pick<InFlightRequest, "request_id"> & {
  provider_id?: string | null | undefined;
  phase?: InFlightRequest["phase"];
};

/** Asks whether a request is to be cancelled, and cancels it. */
export function askToCancel({ request_id: id, provider_id: provider, phase }: Cancellable): void {
  ask({
    title: "Cancel this request?",
    text:
      phase === "queued"
        ? "It waits for a limit; it leaves the queue, and the client gets an error."
        : `The connection to ${provider ?? "the provider"} is closed, and the client gets an error.`,
    action: "Cancel the request",
    dismiss: "Leave it",
    danger: true,
    run: async () => {
      await cancelRequest(id);
      for (const queryKey of [inFlightQuery.queryKey, ["requests", "one", id]])
        await queryClient.invalidateQueries({ queryKey });
    },
  });
}
