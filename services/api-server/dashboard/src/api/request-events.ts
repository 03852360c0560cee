/** `requests:started` and `requests:ended`: the requests of the router, while the page that asks for them is visible. */

import { type InfiniteData, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useState } from "react";
import { type InFlightRequest, inFlightQuery } from "./in-flight";
import type { RequestFilters, RequestRow } from "./request-filters";
import { connection } from "./socket";

export interface EndedRequest extends InFlightRequest {
  status: string;
  status_code: number | null;
  duration_ms: number;
  prompt_tokens: number | null;
  completion_tokens: number | null;
  error: string | null;
}

interface EventOf<Request> {
  /** All of them, also if more than the named ones. */
  count: number;
  requests: Request[];
}

/** Returns the filter of the subscription. Texts and times of a list have none: the list itself applies them. */
export function filterOf(filters: RequestFilters): Record<string, unknown> {
  const { model, provider, key, session, path, status, stream, has_error, min_ms, max_ms } = filters;
  const known = { model, provider_id: provider, key, session_id: session, path, status, stream, has_error };
  return Object.fromEntries(Object.entries({ ...known, min_ms, max_ms }).filter(([, value]) => value !== undefined));
}

/** Returns the rows with the outcome of those that have ended. Rows that say so already are left alone. */
export function withOutcomes(rows: RequestRow[], ended: readonly EndedRequest[]): RequestRow[] {
  const outcomes = new Map(ended.map((one) => [one.request_id, one]));
  if (!rows.some(({ request_id, status }) => status === "pending" && outcomes.has(request_id))) return rows;
  return rows.map((row) => {
    const outcome = outcomes.get(row.request_id);
    if (!outcome || row.status !== "pending") return row;
    const { status, duration_ms, error, prompt_tokens, completion_tokens, first_byte_ms, attempts } = outcome;
    const unknown = prompt_tokens === null && completion_tokens === null;
    const total_tokens = unknown ? null : (prompt_tokens ?? 0) + (completion_tokens ?? 0);
    const figures = { duration_ms, error, prompt_tokens, completion_tokens, total_tokens, first_byte_ms, attempts };
    return { ...row, ...figures, status, provider_id: outcome.provider_id ?? row.provider_id };
  });
}

type Lists = InfiniteData<{ requests: RequestRow[] }> | undefined;

/** Lists that are shown. */
let shown = 0;

/** Milliseconds after which the server is told that no list is shown. */
const UNSUBSCRIBE_AFTER = 1_000;

/**
 * Ends the subscription, unless another list has taken it over meanwhile. The server handles messages side by side: an
 * end that is sent right before the next beginning could be the later one.
 */
function released(): void {
  shown -= 1;
  setTimeout(() => {
    if (shown === 0) connection().emit("requests:unsubscribe");
  }, UNSUBSCRIBE_AFTER);
}

/** Milliseconds in which several events make one look at what is in flight. */
const LOOK_AFTER = 500;

/**
 * Keeps the lists of requests up to date while they are shown: what is in flight is read anew when a request begins or
 * ends, and rows that were pending get their outcome. Returns how many requests that match the filters have ended, and
 * a function that counts from zero again.
 */
export function useRequestEvents(filters: RequestFilters): { ended: number; reset: () => void } {
  const client = useQueryClient();
  const [ended, setEnded] = useState(0);
  const reset = useCallback(() => setEnded(0), []);
  const filter = JSON.stringify(filterOf(filters));
  useEffect(() => {
    const socket = connection();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = () => {
      timer = undefined;
      void client.invalidateQueries({ queryKey: inFlightQuery.queryKey });
    };
    const changed = () => {
      timer ??= setTimeout(look, LOOK_AFTER);
    };
    const over = (event: EventOf<EndedRequest>) => {
      changed();
      for (const kind of ["list", "recent"])
        client.setQueriesData<Lists>({ queryKey: ["requests", kind] }, (known) => known && withEnded(known, event));
      setEnded((old) => old + event.count);
    };
    const subscribe = () => void socket.emit("requests:subscribe", JSON.parse(filter));
    const unsubscribe = () => void socket.emit("requests:unsubscribe");
    const turned = () => (document.hidden ? unsubscribe() : subscribe());
    shown += 1;
    setEnded(0);
    socket.on("connect", subscribe);
    socket.on("requests:started", changed);
    socket.on("requests:ended", over);
    document.addEventListener("visibilitychange", turned);
    if (socket.connected && !document.hidden) subscribe();
    return () => {
      clearTimeout(timer);
      socket.off("connect", subscribe);
      socket.off("requests:started", changed);
      socket.off("requests:ended", over);
      document.removeEventListener("visibilitychange", turned);
      released();
    };
  }, [client, filter]);
  return { ended, reset };
}

function withEnded(known: NonNullable<Lists>, { requests }: EventOf<EndedRequest>): NonNullable<Lists> {
  const pages = known.pages.map((page) => {
    const rows = withOutcomes(page.requests, requests);
    return rows === page.requests ? page : { ...page, requests: rows };
  });
  return pages.every((page, at) => page === known.pages[at]) ? known : { ...known, pages };
}
