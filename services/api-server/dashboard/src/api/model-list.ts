/** The list of models, a page at a time. */

import { infiniteQueryOptions } from "@tanstack/react-query";
import { api, data, type Schemas } from "./client";

/** Filters that the server applies. */
export interface ModelFilters {
  capability?: string | undefined;
  provider?: string | undefined;
}

export type ListedModel = Pick<Schemas["ModelView"], "id" | "name" | "description" | "capabilities">;

export interface ModelPage {
  models: ListedModel[];
  total: number;
  next: string | undefined;
}

/** Returns the models by name, or those of a provider with its default first. */
export const modelListQuery = (filters: ModelFilters, limit: number) =>
  infiniteQueryOptions({
    queryKey: ["models", "list", filters, limit],
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam, signal }): Promise<ModelPage> => {
      const query = { ...filters, limit, cursor: pageParam };
      const { models, total, next_cursor } = await data(api.GET("/api/models", { params: { query }, signal }));
      return { models, total, next: next_cursor ?? undefined };
    },
    getNextPageParam: ({ next }) => next,
  });
