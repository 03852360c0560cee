/** One request of the log: its outcome, its attempts, its bodies, and its repetition. */

import { queryOptions } from "@tanstack/react-query";
import { address } from "../app/base";
import { api, data, type Schemas, send } from "./client";
import { rememberSent } from "./sent";

/** A request and its answer, without their bodies. */
export type RequestDetail = Schemas["ShortDetail"];

/** An attempt. Times are milliseconds since the request arrived; those that were not recorded are missing. */
export type Attempt = Schemas["ExplainedAttempt"] & {
  connect_ms?: number | null;
  headers_ms?: number | null;
};

export type Explanation = Omit<Schemas["Explanation"], "attempts"> & { attempts: Attempt[] };

export const BODIES = ["asked", "sent", "answered"] as const;
export type BodyKind = (typeof BODIES)[number];

export const requestQuery = (id: string) =>
  queryOptions({
    queryKey: ["requests", "one", id],
    queryFn: async ({ signal }) => {
      if (unlogged.has(id)) await untilLogged(id, signal);
      return (await data(
        api.GET("/api/requests/{id}", { params: { path: { id }, query: { view: "short" } }, signal }),
      )) as RequestDetail;
    },
  });

/** Requests that this page has sent, and that the log may not have yet. */
const unlogged = new Set<string>();
/** Looks at the newest requests until one must be there, and milliseconds between them. */
const LOOKS = 40;
const LOOK_EVERY = 250;
/** Rows of a look. */
const NEWEST = 50;

/** Tells that a request was sent just now: the log has it a moment later. */
export function expectLogged(id: string): void {
  unlogged.add(id);
  rememberSent(id);
}

/** Waits until the list of the newest requests has one, which a request for itself would report as missing. */
async function untilLogged(id: string, signal: AbortSignal): Promise<void> {
  const query = { view: "short", limit: NEWEST, count: false };
  for (let look = 0; look < LOOKS && unlogged.has(id); look++) {
    const { requests } = (await data(api.GET("/api/requests", { params: { query }, signal }))) as Schemas["ShortList"];
    if (requests.some(({ request_id }) => request_id === id)) break;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
  }
  unlogged.delete(id);
}

export const explainQuery = (id: string) =>
  queryOptions({
    queryKey: ["requests", "one", id, "explain"],
    queryFn: async ({ signal }) =>
      (await data(api.GET("/api/requests/{id}/explain", { params: { path: { id } }, signal }))) as Explanation,
  });

/** Returns the path of a body. */
export function bodyPath(id: string, kind: BodyKind): string {
  return `/api/requests/${encodeURIComponent(id)}/body/${kind}`;
}

/** Returns the whole address of a body, for workers and downloads. */
export function bodyUrl(id: string, kind: BodyKind): string {
  return new URL(address(bodyPath(id, kind)), location.href).href;
}

/** Returns a body as it was sent. */
export async function bodyText(id: string, kind: BodyKind): Promise<string> {
  return await (await send(bodyPath(id, kind))).text();
}

export type ReplayCommand = Schemas["ReplayCommand"];

/** The outcome of one of several replays. */
export interface Outcome {
  /** Id in the log; `null` if the router did not answer. */
  request_id: string | null;
  status_code: number | null;
  /** Milliseconds until the last byte. */
  duration_ms: number;
  complete: boolean;
  error: string | null;
}

/** Header with the id under which the router logs a request. */
export const LOGGED_ID = "x-signalbox-request-id";

/** Sends a request once more. The response is that of the router, also if it is an error, or the outcomes of several. */
export function sendReplay(id: string, command: ReplayCommand, signal: AbortSignal): Promise<Response> {
  return fetch(address(`/api/requests/${encodeURIComponent(id)}/replay`), {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream, application/json" },
    body: JSON.stringify(command),
    signal,
  });
}
