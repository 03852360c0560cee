/** Queries of sessions: the list, a search in their requests, sums, and the turns of one. */

import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, data, type Schemas } from "./client";
import { type Choice, choices, preview, type RequestRow } from "./request-list";

/** Sessions of one page. */
const PAGE = 50;
/** Requests that one answer of a search has. */
const FOUND = 100;
/** Turns of one page; the one before them is read for comparison. */
const TURNS = 20;
/** Milliseconds for which sums are not read again. */
const STALE = 60_000;

export type SessionSort = "created_at" | "last_accessed";

export interface SessionFilters {
  sort?: SessionSort | undefined;
  /** A text in a question or an answer. */
  q?: string | undefined;
  model?: Choice | undefined;
}

export const sessionListQuery = (sort: SessionSort | undefined) =>
  infiniteQueryOptions({
    queryKey: ["sessions", "list", sort ?? ""],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) => {
      const query = { limit: PAGE, cursor: pageParam, ...(sort && { sort }) };
      return data(api.GET("/api/sessions", { params: { query }, signal }));
    },
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });

/** Returns requests that match, the newest first: the server searches requests, and not sessions. */
export const sessionSearchQuery = ({ q, model }: SessionFilters) =>
  infiniteQueryOptions({
    queryKey: ["sessions", "search", q ?? "", choices(model)],
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam, signal }) => {
      const query = { q, model: choices(model), limit: FOUND, cursor: pageParam, view: "short", count: false };
      const page = (await data(
        api.GET("/api/requests", { params: { query }, signal }),
      )) as unknown as Schemas["ShortList"];
      const found = page.requests.map(({ session_id, model, timestamp }) => ({ session_id, model, timestamp }));
      return { found, scanned: page.scanned ?? page.requests.length, next: page.next_cursor ?? null };
    },
    getNextPageParam: (page) => page.next ?? undefined,
  });

export type SessionSums = Schemas["ResponseStats"];

/** Returns the sums of the answers of a session. */
export const sessionSumsQuery = (id: string) =>
  queryOptions({
    queryKey: ["session-sums", id],
    staleTime: STALE,
    queryFn: ({ signal }) =>
      data(api.GET("/api/responses/stats", { params: { query: { session_id: id } }, signal })) as Promise<SessionSums>,
  });

/** Returns the beginning of the newest answer of a session; empty if there is none. */
export const lastAnswerQuery = (id: string) =>
  queryOptions({
    queryKey: ["session-answer", id],
    staleTime: STALE,
    queryFn: async ({ signal }) => {
      const params = { path: { id }, query: { limit: 1 } };
      const { responses } = await data(api.GET("/api/responses/session/{id}", { params, signal }));
      const { response_body, error } = responses[0] ?? {};
      return answerText(response_body) || error || "";
    },
  });

/** Returns the beginning of an answer in any of the three APIs. */
export function answerText(body: unknown): string {
  if (typeof body !== "object" || body === null) return "";
  const { choices, output, content } = body as { choices?: unknown; output?: unknown; content?: unknown };
  if (Array.isArray(choices)) {
    const { message, text } = (choices[0] ?? {}) as { message?: { content?: unknown }; text?: unknown };
    return preview({ messages: [{ role: "user", content: message?.content ?? text }] });
  }
  const messages = Array.isArray(output) ? output.filter((item) => item?.type === "message") : [{ content }];
  return preview({ messages: messages.slice(0, 1) });
}

/** Returns the turns of a session without their bodies, the newest first. */
export const turnsQuery = (id: string) =>
  infiniteQueryOptions({
    queryKey: ["sessions", id, "turns"],
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam, signal }) => {
      const query = { session_id: id, limit: TURNS, cursor: pageParam, view: "short", count: false };
      const page = (await data(
        api.GET("/api/requests", { params: { query }, signal }),
      )) as unknown as Schemas["ShortList"];
      return { turns: page.requests as RequestRow[], next: page.next_cursor ?? null };
    },
    getNextPageParam: (page) => page.next ?? undefined,
  });
