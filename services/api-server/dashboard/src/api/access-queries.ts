/** Queries of routes and client keys. */

import { queryOptions } from "@tanstack/react-query";
import { api, data, type Schemas } from "./client";
import { type Versioned, versioned } from "./versions";

/** A stored route. What is at its default may be absent. */
export type RouteView = Pick<
  Schemas["RouteView"],
  "id" | "model" | "enabled" | "problems" | "created_at" | "updated_at"
> &
  Partial<Omit<Schemas["RoutePlan"], "targets" | "deadlines">> & {
    targets: (Pick<Schemas["RouteTarget"], "provider" | "model"> & Partial<Schemas["RouteTarget"]>)[];
    deadlines?: Partial<Schemas["RouteDeadlines"]>;
  };

/** A client key, without its secret. What is not restricted may be absent. */
export type KeyView = Pick<Schemas["KeyView"], "id" | "name" | "hint" | "created_at" | "updated_at"> &
  Partial<Omit<Schemas["KeyView"], "limits">> & { limits?: Partial<Schemas["KeyLimits"]> };

export const routesQuery = queryOptions({
  queryKey: ["routes"],
  queryFn: async ({ signal }) =>
    (await data(api.GET("/api/routes", { params: { query: { limit: 1000 } }, signal }))).routes as RouteView[],
});

export const routeQuery = (id: string) =>
  queryOptions({
    queryKey: ["routes", id],
    queryFn: ({ signal }): Promise<Versioned<RouteView>> =>
      versioned(api.GET("/api/routes/{id}", { params: { path: { id } }, signal })),
  });

export const keysQuery = queryOptions({
  queryKey: ["keys"],
  queryFn: async ({ signal }) =>
    (await data(api.GET("/api/keys", { params: { query: { limit: 1000 } }, signal }))).keys as KeyView[],
});

export const keyQuery = (id: string) =>
  queryOptions({
    queryKey: ["keys", id],
    queryFn: ({ signal }): Promise<Versioned<KeyView>> =>
      versioned(api.GET("/api/keys/{id}", { params: { path: { id } }, signal })),
  });
