/** Queries of the list of requests: filters, rows, previews and totals. */

import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { type FixedRange, RANGES, type RangeName } from "../format/ranges";
import { api, data, type Schemas, send } from "./client";

/** Rows of one page of the list. */
export const PAGE = 50;
/** Maximum pages of the list that are kept in memory; a reconnect reads no more than these again. */
const MAX_PAGES = 10;
/** Characters of a question that a row shows. */
const PREVIEW = 200;
/** Milliseconds for which a total is not counted again. */
const TOTAL_STALE = 60_000;
/** Milliseconds for which a list that is not shown is kept. */
const KEPT_FOR = 30 * 60_000;

/** One value, or several of which each request has one. */
export type Choice = string | string[];

/** Ranges of time that the list offers. */
export type ListRange = RangeName | "any";

/** Filters of the request list, as they are in the address. */
export interface RequestFilters {
  q?: string | undefined;
  status?: Choice | undefined;
  model?: Choice | undefined;
  provider?: Choice | undefined;
  /** The id of a client key. */
  key?: string | undefined;
  session?: string | undefined;
  path?: string | undefined;
  stream?: boolean | undefined;
  has_error?: boolean | undefined;
  /** A text in the error. */
  error?: string | undefined;
  min_ms?: number | undefined;
  max_ms?: number | undefined;
  /** A range that ends now; 24 hours by default, except for the requests of a session. */
  range?: ListRange | undefined;
  from?: number | undefined;
  to?: number | undefined;
}

export type RequestRow = Schemas["ShortRequest"] & {
  /** The beginning of the last question; absent until it has been read. */
  preview?: string | undefined;
};

/** The default range. */
export const DEFAULT_RANGE = "24h";

/** Returns the values of a filter. */
export function choices(value: Choice | undefined): string[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

/** Returns the range that ends now; `undefined` if both ends of the time are given. */
export function rangeOf({ range, from, to, session }: RequestFilters): ListRange | undefined {
  if (range !== undefined) return range;
  if (from !== undefined || to !== undefined) return undefined;
  return session === undefined ? DEFAULT_RANGE : "any";
}

/** Returns the time that filters select; ends that are absent are open. */
export function timeOf(filters: RequestFilters, now: number): Partial<FixedRange> {
  const range = rangeOf(filters);
  if (range === "any") return {};
  if (range !== undefined) return { from: now - RANGES[range][1] };
  const { from, to } = filters;
  return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
}

/** Returns the parameters of the API for these filters. */
export function parametersOf(filters: RequestFilters, now: number) {
  const { from, to } = timeOf(filters, now);
  return {
    q: filters.q,
    status: listOf(filters.status),
    model: listOf(filters.model),
    provider_id: listOf(filters.provider),
    key: filters.key,
    session_id: filters.session,
    path: filters.path,
    stream: filters.stream,
    has_error: filters.has_error,
    error: filters.error,
    min_ms: filters.min_ms,
    max_ms: filters.max_ms,
    start_date: from,
    end_date: to,
  };
}

function listOf(value: Choice | undefined): string[] | undefined {
  const values = choices(value);
  return values.length === 0 ? undefined : values;
}

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
      return Object.fromEntries(page.requests.map(({ id, openai_request }) => [id, preview(openai_request)]));
    },
  });

/** Returns the newest requests with their questions, of any time by default, for short lists. */
export const requestsQuery = (filters: RequestFilters, limit: number = PAGE) =>
  infiniteQueryOptions({
    queryKey: ["requests", "list", filters, limit],
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam, signal }) => {
      const { range, from, to } = filters;
      const isOpen = range === undefined && from === undefined && to === undefined;
      const selected = isOpen ? { ...filters, range: "any" as const } : filters;
      const query = { ...parametersOf(selected, Date.now()), limit, cursor: pageParam, count: false };
      const page = (await data(api.GET("/api/requests", { params: { query }, signal }))) as Schemas["RequestList"];
      return { ...page, requests: page.requests.map(rowOf) };
    },
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });

/** Returns the row of a request; its bodies are not kept. */
function rowOf({ openai_request, qwen_request: _, response_summary, ...request }: Schemas["SummarisedRequest"]) {
  const { cost_usd, ...summary } = response_summary ?? {};
  const cost_nanos = cost_usd == null ? null : cost_usd * 1e9;
  return { ...request, ...summary, cost_nanos, truncated: false, preview: preview(openai_request) } as RequestRow;
}

/** Returns the beginning of the last user message of a request. */
export function preview(body: unknown): string {
  const { messages, input, prompt } = (typeof body === "object" && body !== null ? body : {}) as Record<
    string,
    unknown
  >;
  const list = Array.isArray(messages) ? messages : Array.isArray(input) ? input : null;
  const last = list?.findLast((item) => (item as { role?: unknown } | null)?.role === "user") ?? list?.at(-1);
  return textOf(last ? (last as { content?: unknown }).content : (input ?? prompt)).slice(0, PREVIEW);
}

function textOf(content: unknown): string {
  if (typeof content === "string") return content.slice(0, PREVIEW);
  if (!Array.isArray(content)) return "";
  const texts = content.map((part) => (typeof part === "string" ? part : (part as { text?: unknown } | null)?.text));
  return texts
    .filter((part): part is string => typeof part === "string")
    .map((part) => part.slice(0, PREVIEW))
    .join(" ");
}

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
