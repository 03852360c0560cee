/** Queries of the list of requests: rows, questions, totals, choices for filters, and exports. */

import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, data, type Schemas, send } from "./client";
import type { InFlightRequest } from "./in-flight";
import {
  type Choice,
  choices,
  PAGE,
  parametersOf,
  preview,
  type RequestFilters,
  type RequestRow,
  timeOf,
} from "./request-filters";

export * from "./request-filters";

/** Maximum pages of the list that are kept in memory; a reconnect reads no more than these again. */
const MAX_PAGES = 10;
/** Milliseconds for which a total is not counted again. */
const TOTAL_STALE = 60_000;
/** Milliseconds for which a list that is not shown is kept. */
const KEPT_FOR = 30 * 60_000;

/** The row with which a list begins: the newest one, that of a cursor, or the newest one of a time. */
export interface Anchor {
  /** Number of rows before it. */
  at: number;
  cursor?: string;
  until?: number;
}

interface PageParam extends Anchor {
  /** Whether the page ends before the row of the cursor. */
  before?: boolean;
  /** Requests that a search has read before. */
  searched?: number;
}

export const TOP: Anchor = { at: 0 };

/** A page of the list. */
export interface RowPage {
  requests: RequestRow[];
  /** Number of rows before the page. */
  at: number;
  /** Requests that a search has read up to the end of the page. */
  searched: number;
  complete?: boolean | undefined;
  next_cursor?: string | null | undefined;
  prev_cursor?: string | null | undefined;
}

/** Returns the rows, the newest first, without bodies and without a total. */
export const rowsQuery = (filters: RequestFilters, anchor: Anchor) =>
  infiniteQueryOptions({
    queryKey: ["requests", "list", filters, "rows", anchor],
    // Rows stay where they are until newer ones are asked for.
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: KEPT_FOR,
    maxPages: MAX_PAGES,
    initialPageParam: anchor as PageParam,
    queryFn: async ({ pageParam, signal }): Promise<RowPage> => {
      const { at, cursor, until, before, searched = 0 } = pageParam;
      const query = { ...parametersOf(filters, Date.now()), limit: PAGE, cursor, view: "short", count: false };
      if (until !== undefined) query.end_date = Math.min(until, query.end_date ?? until);
      const page = (await data(
        api.GET("/api/requests", { params: { query }, signal }),
      )) as unknown as Schemas["ShortList"];
      const { requests, complete, next_cursor, prev_cursor } = page;
      return {
        requests,
        at: before ? Math.max(0, at - requests.length) : at,
        searched: searched + (page.scanned ?? 0),
        complete,
        next_cursor,
        prev_cursor,
      };
    },
    getNextPageParam: ({ at, requests, searched, next_cursor }): PageParam | undefined =>
      next_cursor ? { at: at + requests.length, cursor: next_cursor, searched } : undefined,
    getPreviousPageParam: ({ at, prev_cursor }): PageParam | undefined =>
      at > 0 && prev_cursor ? { at, cursor: prev_cursor, before: true } : undefined,
  });

/** Counts requests: with filters of answers, every request of the time is read for it. */
async function countOf(query: ReturnType<typeof parametersOf>, signal: AbortSignal): Promise<number> {
  const params = { query: { ...query, q: undefined, view: "short", limit: 1 } };
  const { total } = (await data(api.GET("/api/requests", { params, signal }))) as unknown as { total: number };
  return total;
}

/** Returns the number of requests that match all filters but the text. */
export const totalQuery = (filters: RequestFilters) =>
  queryOptions({
    queryKey: ["requests", "total", filters],
    staleTime: TOTAL_STALE,
    queryFn: ({ signal }) => countOf(parametersOf(filters, Date.now()), signal),
  });

/** Returns the number of requests that are newer than a time, so that the list can begin with those before it. */
export const newerQuery = (filters: RequestFilters, than: number) =>
  queryOptions({
    queryKey: ["requests", "newer", filters, than],
    // The list stays where it begins, however many there are by now.
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: KEPT_FOR,
    queryFn: ({ signal }) => {
      const query = parametersOf(filters, Date.now());
      return countOf({ ...query, start_date: Math.max(than + 1, query.start_date ?? 0) }, signal);
    },
  });

/** Returns the questions of the rows of a page, by the ids of the rows. Rows without one are left out. */
export const previewsQuery = (filters: RequestFilters, { requests }: RowPage) =>
  queryOptions({
    queryKey: ["requests", "previews", filters.q ?? "", requests[0]?.id, requests.at(-1)?.id, filters],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async ({ signal }): Promise<Record<number, string>> => {
      const [newest, oldest] = [requests[0]!, requests.at(-1)!];
      // Bodies are in the list without `view=short` only, cut to their beginnings.
      const time = { start_date: oldest.timestamp, end_date: newest.timestamp };
      const query = { ...parametersOf(filters, Date.now()), ...time, limit: requests.length, count: false };
      const page = (await data(api.GET("/api/requests", { params: { query }, signal }))) as Schemas["RequestList"];
      return Object.fromEntries(page.requests.map(({ id, request_body }) => [id, preview(request_body)]));
    },
  });

/** Values of the requests of a time, as choices for filters. Keys are absent where the server does not know them. */
export type Facets = Schemas["FacetList"] & { keys?: Schemas["FacetValue"][] };

/** Returns the values that requests of the last days have, those of deleted providers and models included. */
export const facetsQuery = (filters: RequestFilters) => {
  const { range, from, to, session } = filters;
  return queryOptions({
    queryKey: ["metrics", "facets", { range, from, to, session }],
    staleTime: TOTAL_STALE,
    queryFn: async ({ signal }): Promise<Facets> => {
      const now = Date.now();
      const time = timeOf({ range, from, to, session }, now);
      // The sums go back 400 days.
      const query = { from: time.from ?? now - 400 * 86_400_000, to: Math.max(time.to ?? now, (time.from ?? 0) + 1) };
      return await data(api.GET("/api/metrics/facets", { params: { query }, signal }));
    },
  });
};

export const EXPORT_FORMATS = ["ndjson", "csv"] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** Returns the address of all rows that match the filters. */
export function exportUrl(filters: RequestFilters, format: ExportFormat, now: number): string {
  const params = new URLSearchParams({ format });
  for (const [name, value] of Object.entries(parametersOf(filters, now))) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) params.append(name, String(one));
  }
  return `/api/requests/export?${params}`;
}

/** Returns the number of rows of an export; `null` if the server does not count them. */
export const exportCountQuery = (url: string) =>
  queryOptions({
    queryKey: ["requests", "export", url],
    staleTime: 0,
    queryFn: async ({ signal }) => {
      const total = (await send(url, { method: "HEAD", signal })).headers.get("x-total-count");
      return total === null ? null : Number(total);
    },
  });

export async function deleteRequest(id: string): Promise<void> {
  await data(api.DELETE("/api/requests/{id}", { params: { path: { id } } }));
}

/** Returns whether a request in flight belongs to a list with these filters. What only its end tells, matches none. */
export function isListed(request: InFlightRequest, filters: RequestFilters): boolean {
  const { q, error, min_ms, max_ms, has_error, status, model, provider, key, session, path, stream } = filters;
  if (q !== undefined || error !== undefined || min_ms !== undefined || max_ms !== undefined || has_error) return false;
  const isOneOf = (wanted: Choice | undefined, value: string | null | undefined) =>
    wanted === undefined || choices(wanted).includes(value ?? "");
  const { from, to } = timeOf(filters, Date.now());
  return (
    isOneOf(status, "pending") &&
    isOneOf(model, request.model) &&
    isOneOf(provider, request.provider_id) &&
    isOneOf(key, request.key_id) &&
    isOneOf(session, request.session_id) &&
    isOneOf(path, request.path) &&
    (stream === undefined || stream === request.stream) &&
    request.timestamp >= (from ?? 0) &&
    request.timestamp <= (to ?? Number.POSITIVE_INFINITY)
  );
}
