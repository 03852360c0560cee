/** All queries of the console, with their keys. Events invalidate them by the first part of the key. */

import { QueryClient, queryOptions } from "@tanstack/react-query";
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

/** Ids of routes and keys that were deleted here: their pages are being left, and are not read again. */
export const gone = new Set<string>();

/** Waits for a deletion, whose event may arrive first. */
export async function deleting(id: string, work: Promise<unknown>): Promise<void> {
  gone.add(id);
  try {
    await work;
  } catch (error) {
    gone.delete(id);
    throw error;
  }
}

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

export { type RequestFilters, type RequestRow, requestsQuery } from "./request-filters";

export const sessionQuery = (id: string) =>
  queryOptions({
    queryKey: ["sessions", id],
    queryFn: ({ signal }) => data(api.GET("/api/sessions/{id}", { params: { path: { id } }, signal })),
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
