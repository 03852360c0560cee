/** Requests that have not ended. */

import { queryOptions } from "@tanstack/react-query";
import { send } from "./client";

export interface InFlightRequest {
  request_id: string;
  /** When it arrived. */
  timestamp: number;
  path: string;
  model: string;
  stream: boolean;
  /** The session that the client has named. */
  session_id: string | null;
  /** The key that it was authenticated with. */
  key_id?: string | null;
  /** The provider that is asked now; `null` before the first attempt. */
  provider_id: string | null;
  attempts: number;
  phase: "queued" | "waiting" | "answering";
  elapsed_ms: number;
  first_byte_ms: number | null;
  response_bytes: number;
}

export const inFlightQuery = queryOptions({
  queryKey: ["in-flight"],
  staleTime: 0,
  queryFn: async ({ signal }) => {
    const answer = await send("/api/requests/inflight", { signal });
    return ((await answer.json()) as { requests: InFlightRequest[] }).requests;
  },
});

/** Cancels a request: its client gets an error. */
export async function cancelRequest(id: string): Promise<void> {
  await send(`/api/requests/${encodeURIComponent(id)}/cancel`, { method: "POST" });
}
