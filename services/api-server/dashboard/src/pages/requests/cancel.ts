/** Requests in flight: how far one has come, and its cancellation. */

import { cancelRequest, type InFlightRequest, inFlightQuery } from "../../api/in-flight";
import { queryClient } from "../../api/queries";
import { count } from "../../format/numbers";
import { ask } from "../../parts/dialog";

/** Returns the words for how far a request has come. */
export function progressOf({ phase, attempts }: Pick<InFlightRequest, "phase" | "attempts">): string {
  if (phase !== "waiting") return phase;
  return attempts > 1 ? `waiting, attempt ${count(attempts)}` : "waiting";
}

/** Asks whether a request is to be cancelled, and cancels it. */
export function askToCancel(request: InFlightRequest): void {
  ask({
    title: "Cancel this request?",
    text:
      request.phase === "queued"
        ? "It waits for a limit; it leaves the queue, and the client gets an error."
        : `The connection to ${request.provider_id ?? "the provider"} is closed, and the client gets an error.`,
    action: "Cancel the request",
    dismiss: "Leave it",
    danger: true,
    run: async () => {
      await cancelRequest(request.request_id);
      await queryClient.invalidateQueries({ queryKey: inFlightQuery.queryKey });
    },
  });
}
