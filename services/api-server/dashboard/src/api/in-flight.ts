/** Requests that have not ended. */

import { queryOptions } from "@tanstack/react-query";
import { type Schemas, send } from "./client";

export type InFlightRequest = Schemas["InFlightRequest"];

export const inFlightQuery = queryOptions({
  queryKey: ["in-flight"],
  staleTime: 0,
  queryFn: async ({ signal }) => {
    const answer = await send("/api/requests/inflight", { signal });
    return ((await answer.json()) as Schemas["InFlightList"]).requests;
  },
});

/** Cancels a request: its client gets an error. */
export async function cancelRequest(id: string): Promise<void> {
  await send(`/api/requests/${encodeURIComponent(id)}/cancel`, { method: "POST" });
}
