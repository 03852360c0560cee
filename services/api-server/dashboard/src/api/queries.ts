/** All queries of the console, with their keys. Events invalidate them by the first part of the key. */

import { infiniteQueryOptions, QueryClient, queryOptions } from "@tanstack/react-query";
import { sendStatus } from "../lifecycle/store";
import { api, data, type Schemas } from "./client";
import { asProblem } from "./problem";
import { type Versioned, versioned } from "./versions";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      refetchOnWindowFocus: false,
      retry: (failures, error) => asProblem(error).isOffline && failures < 2,
      retryDelay: 500,
      networkMode: "always",
    },
    mutations: { networkMode: "always", retry: false },
  },
});

/** Rows of one page of a list. */
const PAGE = 50;
/** Requests of a session that are loaded at once, with their bodies. */
const SESSION_PAGE = 20;

export const aboutQuery = queryOptions({
  queryKey: ["about"],
  queryFn: ({ signal }) => data(api.GET("/api/about", { signal })),
});

export const statusQuery = queryOptions({
  queryKey: ["status"],
  queryFn: async ({ signal }) => {
    const status = await data(api.GET("/api/proxy/status", { signal }));
    sendStatus(status);
    return status;
  },
});

export const statsQuery = queryOptions({
  queryKey: ["requests", "stats"],
  queryFn: ({ signal }) => data(api.GET("/api/activity/stats", { signal })),
});

export const providersQuery = queryOptions({
  queryKey: ["providers"],
  queryFn: async ({ signal }) =>
    (await data(api.GET("/api/providers", { params: { query: { limit: 1000 } }, signal }))).providers,
});

export const providerTypesQuery = queryOptions({
  queryKey: ["provider-types"],
  staleTime: Number.POSITIVE_INFINITY,
  queryFn: async ({ signal }) => (await data(api.GET("/api/providers/types", { signal }))).types,
});

export const providerQuery = (id: string) =>
  queryOptions({
    queryKey: ["providers", id],
    queryFn: ({ signal }): Promise<Versioned<Schemas["WholeProvider"]>> =>
      versioned(api.GET("/api/providers/{id}", { params: { path: { id } }, signal })),
  });

export const modelsQuery = queryOptions({
  queryKey: ["models"],
  queryFn: async ({ signal }) =>
    (await data(api.GET("/api/models", { params: { query: { limit: 1000 } }, signal })))
      .models as Schemas["ModelView"][],
});

export const modelQuery = (id: string) =>
  queryOptions({
    queryKey: ["models", id],
    queryFn: async ({ signal }) =>
      (await data(api.GET("/api/models/{id}", { params: { path: { id } }, signal }))).model,
  });

/** Filters of the request list, as they are in the address. */
export interface RequestFilters {
  q?: string | undefined;
  status?: string | undefined;
  model?: string | undefined;
  provider?: string | undefined;
  session?: string | undefined;
  stream?: boolean | undefined;
  from?: number | undefined;
  to?: number | undefined;
}

export const requestsQuery = (filters: RequestFilters, limit: number = PAGE) =>
  infiniteQueryOptions({
    queryKey: ["requests", "list", filters, limit],
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam, signal }) => {
      // Without `view=short`, rows have the beginnings of their bodies, and with them the question.
      const page = (await data(
        api.GET("/api/requests", {
          params: {
            query: {
              limit,
              cursor: pageParam,
              q: filters.q,
              status: listOf(filters.status),
              model: listOf(filters.model),
              provider_id: listOf(filters.provider),
              session_id: filters.session,
              stream: filters.stream,
              start_date: filters.from,
              end_date: filters.to,
            },
          },
          signal,
        }),
      )) as Schemas["RequestList"];
      return { ...page, requests: page.requests.map(withoutBodies) };
    },
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });

function listOf(value: string | undefined): string[] | undefined {
  return value === undefined ? undefined : [value];
}

/** Characters of a question that a row shows. */
const PREVIEW = 200;

/** Keeps the preview of a row only: bodies may be megabytes. */
function withoutBodies({ openai_request, qwen_request: _, ...row }: Schemas["SummarisedRequest"]) {
  return { ...row, preview: preview(openai_request) };
}

export type RequestRow = ReturnType<typeof withoutBodies>;

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

export const sessionsQuery = (sort: "created_at" | "last_accessed" | undefined) =>
  infiniteQueryOptions({
    queryKey: ["sessions", "list", sort ?? ""],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      data(
        api.GET("/api/sessions", {
          params: { query: { limit: PAGE, cursor: pageParam, sort: sort as never } },
          signal,
        }),
      ),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });

export const sessionQuery = (id: string) =>
  queryOptions({
    queryKey: ["sessions", id],
    queryFn: ({ signal }) => data(api.GET("/api/sessions/{id}", { params: { path: { id } }, signal })),
  });

export const sessionRequestsQuery = (id: string) =>
  infiniteQueryOptions({
    queryKey: ["sessions", id, "requests"],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      data(
        api.GET("/api/sessions/{id}/requests", {
          params: { path: { id }, query: { limit: SESSION_PAGE, cursor: pageParam } },
          signal,
        }),
      ),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });

/** Answers of a session, newest first. */
export const sessionResponsesQuery = (id: string) =>
  infiniteQueryOptions({
    queryKey: ["sessions", id, "responses"],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      data(
        api.GET("/api/responses/session/{id}", {
          params: { path: { id }, query: { limit: SESSION_PAGE, cursor: pageParam } },
          signal,
        }),
      ),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });

export const settingsQuery = queryOptions({
  queryKey: ["settings"],
  queryFn: async ({ signal }) => (await data(api.GET("/api/settings", { signal }))).settings as Record<string, unknown>,
});

export const loginsQuery = queryOptions({
  queryKey: ["logins"],
  queryFn: ({ signal }) => data(api.GET("/api/qwen/credentials", { signal })),
});

export const pricesQuery = queryOptions({
  queryKey: ["prices"],
  queryFn: ({ signal }) => data(api.GET("/api/prices", { signal })),
});

/** Filters of the audit log, as they are in the address. */
export interface AuditFilters {
  actor?: string | undefined;
  action?: string | undefined;
  resource?: string | undefined;
  id?: string | undefined;
  outcome?: string | undefined;
}

export const auditQuery = (filters: AuditFilters) =>
  infiniteQueryOptions({
    queryKey: ["audit", filters],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      data(
        api.GET("/api/audit", {
          params: {
            query: {
              limit: PAGE,
              cursor: pageParam,
              actor: filters.actor,
              action: filters.action,
              resource: filters.resource,
              resource_id: filters.id,
              outcome: filters.outcome as never,
            },
          },
          signal,
        }),
      ),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
