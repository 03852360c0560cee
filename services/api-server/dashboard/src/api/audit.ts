/** The log of changes. */

import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { type ListRange, openEnds } from "../format/ranges";
import { api, data, type Schemas } from "./client";

export type AuditEntry = Schemas["AuditEntry"];

/** Filters of the log, as they are in the address. */
export interface AuditFilters {
  actor?: string | undefined;
  action?: string | undefined;
  resource?: string | undefined;
  /** The id of what was changed. */
  id?: string | undefined;
  outcome?: string | undefined;
  /** The id of the request that made the change. */
  request?: string | undefined;
  /** A range that ends now; any time by default. */
  range?: ListRange | undefined;
  from?: number | undefined;
  to?: number | undefined;
}

/** Rows of one page. */
const PAGE = 50;

/** Returns the range that ends now; `undefined` if an end is given. */
export function auditRange({ range, from, to }: AuditFilters): ListRange | undefined {
  return range ?? (from === undefined && to === undefined ? "any" : undefined);
}

/** Returns the parameters of the API for these filters. */
export function auditParameters(filters: AuditFilters, now: number) {
  const { actor, action, resource, id, outcome, request, from, to } = filters;
  const ends = openEnds({ range: auditRange(filters), from, to }, now);
  return {
    limit: PAGE,
    actor,
    action,
    resource,
    resource_id: id,
    outcome,
    request_id: request,
    start_date: ends.from,
    end_date: ends.to,
  };
}

async function page(filters: AuditFilters, cursor: string | undefined, signal: AbortSignal) {
  const query = { ...auditParameters(filters, Date.now()), cursor };
  return await data(api.GET("/api/audit", { params: { query }, signal }));
}

/** Returns the changes, the newest first. */
export const auditQuery = (filters: AuditFilters) =>
  infiniteQueryOptions({
    queryKey: ["audit", "list", filters],
    // Other pages change what is in it.
    staleTime: 0,
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) => page(filters, pageParam, signal),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });

/** Returns how many changes that match the filters are newer than one, up to a page; `event` is why that is asked. */
export const auditNewsQuery = (filters: AuditFilters, newest: number, event: string | undefined) =>
  queryOptions({
    queryKey: ["audit", "news", filters, newest, event],
    queryFn: async ({ signal }) =>
      (await page(filters, undefined, signal)).entries.filter(({ id }) => id > newest).length,
  });
