/** Filters of requests, and the newest requests with their questions. */

import { infiniteQueryOptions } from "@tanstack/react-query";
import { type FixedRange, type ListRange, openEnds } from "../format/ranges";
import { api, data, type Schemas } from "./client";

export type { ListRange };

/** Rows of one page of the list. */
export const PAGE = 50;
/** Characters of a question that a row shows. */
const PREVIEW = 200;

/** One value, or several of which each request has one. */
export type Choice = string | string[];

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
  return openEnds({ range: rangeOf(filters), from: filters.from, to: filters.to }, now);
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
