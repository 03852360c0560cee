import { textParam } from "../../app/search";

export interface RoutesSearch {
  /** Text in the names or targets. */
  q?: string | undefined;
}

export function routesSearch(raw: Record<string, unknown>): RoutesSearch {
  return { q: textParam(raw, "q") };
}

export interface NewRouteSearch {
  /** Id of the route that is copied. */
  copy?: string | undefined;
}

export function newRouteSearch(raw: Record<string, unknown>): NewRouteSearch {
  return { copy: textParam(raw, "copy") };
}
