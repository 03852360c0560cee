/** Which providers serve a model under its own name, and the defaults of providers. */

import { queryOptions } from "@tanstack/react-query";
import { api, data, type Schemas } from "./client";

/** Entries of one answer: the most that the server gives. */
const PAGE = 1000;

export interface Link {
  provider: string;
  /** Whether the model is the default of the provider. */
  isDefault: boolean;
}

export interface Links {
  /** By id of the model. */
  byModel: ReadonlyMap<string, Link[]>;
  /** Models by id of the provider, its default first. */
  byProvider: ReadonlyMap<string, string[]>;
}

type Linked = Pick<Schemas["LinkedModelView"], "id" | "is_default">;

async function modelsOf(provider: string, signal: AbortSignal): Promise<Linked[]> {
  const found: Linked[] = [];
  let cursor: string | undefined;
  do {
    const query = { provider, limit: PAGE, cursor };
    const page = await data(api.GET("/api/models", { params: { query }, signal }));
    found.push(...(page.models as Linked[]));
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  return found;
}

/** Puts the models of each provider together. Pure. */
export function linksOf(lists: readonly (readonly [provider: string, models: readonly Linked[]])[]): Links {
  const byModel = new Map<string, Link[]>();
  for (const [provider, models] of lists)
    for (const { id, is_default } of models)
      byModel.set(id, [...(byModel.get(id) ?? []), { provider, isDefault: is_default }]);
  return { byModel, byProvider: new Map(lists.map(([provider, models]) => [provider, models.map(({ id }) => id)])) };
}

/** Returns the links of these providers. The server has them by provider only. */
export const linksQuery = (providers: readonly string[]) =>
  queryOptions({
    queryKey: ["models", "links", providers],
    queryFn: async ({ signal }) =>
      linksOf(await Promise.all(providers.map(async (id) => [id, await modelsOf(id, signal)] as const))),
  });
