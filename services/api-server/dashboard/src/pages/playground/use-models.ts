/** The names that the playground can ask for, and the one that it begins with. */

import { useQuery } from "@tanstack/react-query";
import { type RouteView, routesQuery } from "../../api/access-queries";
import { modelsQuery, providerQuery, providersQuery, settingsQuery } from "../../api/queries";
import type { Side } from "./chat";

export interface Names {
  routes: Pick<RouteView, "model" | "enabled" | "aliases">[];
  models: string[];
  providers: string[];
  /** Default model of the active provider. */
  preferred: string | undefined;
}

/** Returns the names to choose from: those of routes first. */
export function namesOf({ routes, models }: Pick<Names, "routes" | "models">): string[] {
  const routed = routes.filter(({ enabled }) => enabled).flatMap(({ model, aliases = [] }) => [model, ...aliases]);
  return [...new Set([...routed.filter((name) => !name.includes("*")), ...models])];
}

/** Returns the name that an empty page begins with: that of a route, else the active provider's default, else any. */
export function firstName(names: Names): string | undefined {
  const routed = namesOf({ routes: names.routes, models: [] });
  const { preferred } = names;
  return routed[0] ?? (preferred !== undefined && names.models.includes(preferred) ? preferred : names.models[0]);
}

/** Returns whether the router can know a name: as a model, of a route, or as `provider/model`. */
export function isKnown(name: string, { routes, models, providers }: Names): boolean {
  if (namesOf({ routes, models }).includes(name)) return true;
  if (providers.some((provider) => name.startsWith(`${provider}/`))) return true;
  return routes.some(({ enabled, model }) => {
    const [start = "", ...rest] = model.split("*");
    const end = rest.join("*");
    return (
      rest.length > 0 && enabled && name.length >= model.length - 1 && name.startsWith(start) && name.endsWith(end)
    );
  });
}

/** Returns the chosen models without those that do not exist any more. */
export function existing(chosen: Partial<Record<Side, string>>, names: Names): Partial<Record<Side, string>> {
  const { a, b } = chosen;
  return {
    ...(a !== undefined && isKnown(a, names) && { a }),
    ...(b !== undefined && isKnown(b, names) && { b }),
  };
}

/** Returns the names, or `null` until they are known. */
export function useNames(): Names | null {
  const routes = useQuery(routesQuery);
  const models = useQuery(modelsQuery);
  const providers = useQuery(providersQuery);
  const settings = useQuery(settingsQuery);
  const active = typeof settings.data?.active_provider === "string" ? settings.data.active_provider : "";
  const provider = useQuery({ ...providerQuery(active), enabled: active !== "" });
  const isPending = [routes, models, providers, settings].some((query) => query.isPending);
  if (isPending || (active !== "" && provider.isPending)) return null;
  return {
    routes: routes.data ?? [],
    models: models.data?.map(({ id }) => id) ?? [],
    providers: providers.data?.map(({ id }) => id) ?? [],
    preferred: provider.data?.models.find((one) => one.is_default)?.id,
  };
}
