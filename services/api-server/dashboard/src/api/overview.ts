/** What the overview tells about requests: sums of the last hour and day, failures, and whether any was answered. */

import { queryOptions } from "@tanstack/react-query";
import { api, data, type Schemas } from "./client";
import { sentIds } from "./sent";
import { fetchTop, type TopRow } from "./usage";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** How far back it is looked for a first answer. */
const EVER = 90 * DAY;
/** Failures that are shown. */
const FAILURES = 6;
/** The newest answers that are looked at for one to a client. */
const LOOKED_AT = 100;
/** Milliseconds after which the hour has moved on, also without requests. */
const HOUR_REFRESH = 30_000;

/** Id of the key under which api-server asks, for the playground and repeated requests. */
const SERVICE = "service";

/** Beginning of the keys of these queries, which are read again together. */
export const OVERVIEW = "overview";

export interface Sums {
  requests: number;
  failed: number;
  prompt: number;
  completion: number;
  /** The known costs, in dollars. */
  cost: number;
  /** Percentiles of completed requests in milliseconds; `null` without one. */
  p50: number | null;
  p95: number | null;
  first: number | null;
}

/** Returns the sums of requests by status. Percentiles of several rows cannot be put together. Pure. */
export function sumsOf(rows: readonly TopRow[]): Sums {
  const sum = (of: (row: TopRow) => number) => rows.reduce((total, row) => total + of(row), 0);
  const completed = rows.find(({ key }) => key === "completed");
  return {
    requests: sum((row) => row.requests),
    failed: sum((row) => row.errors),
    prompt: sum((row) => row.prompt),
    completion: sum((row) => row.completion),
    cost: sum((row) => row.cost_nano) / 1e9,
    p50: completed?.p50 ?? null,
    p95: completed?.p95 ?? null,
    first: completed?.ttft50 ?? null,
  };
}

export interface Minutes {
  /** The time of the first minute. */
  from: number;
  requests: number[];
  errors: number[];
}

export const hourQuery = queryOptions({
  queryKey: [OVERVIEW, "hour"],
  refetchInterval: HOUR_REFRESH,
  queryFn: async ({ signal }): Promise<{ sums: Sums; minutes: Minutes }> => {
    const to = Date.now();
    const from = to - HOUR;
    const query = { from, to, step: MINUTE, metrics: "requests,errors" };
    const [rows, found] = await Promise.all([
      fetchTop({ from, to, by: "status" }, signal),
      data(api.GET("/api/metrics/series", { params: { query }, signal })),
    ]);
    const { requests = [], errors = [] } = found.series[0] ?? {};
    return { sums: sumsOf(rows), minutes: { from: found.t0, requests, errors } };
  },
});

/** Counts requests without a known price, in whole hours. */
async function unpricedSince(from: number, to: number, signal: AbortSignal): Promise<number> {
  const query = { by: "provider", from, to };
  const { usage } = (await data(api.GET("/api/usage", { params: { query }, signal }))) as Schemas["UsageSums"];
  return usage.reduce((sum, row) => sum + row.unpriced, 0);
}

export interface Day {
  sums: Sums;
  /** Requests without a known price, in the last day and in the last hour. */
  unpriced: number;
  unpricedInHour: number;
}

export const dayQuery = queryOptions({
  queryKey: [OVERVIEW, "day"],
  refetchInterval: MINUTE,
  queryFn: async ({ signal }): Promise<Day> => {
    const to = Date.now();
    const [rows, unpriced, unpricedInHour] = await Promise.all([
      fetchTop({ from: to - DAY, to, by: "status" }, signal),
      unpricedSince(to - DAY, to, signal),
      unpricedSince(to - HOUR, to, signal),
    ]);
    return { sums: sumsOf(rows), unpriced, unpricedInHour };
  },
});

/** The newest requests of the last day that have an error. */
export const failuresQuery = queryOptions({
  queryKey: [OVERVIEW, "failures"],
  queryFn: async ({ signal }) => {
    const query = { has_error: true, limit: FAILURES, view: "short", count: false, start_date: Date.now() - DAY };
    const page = await data(api.GET("/api/requests", { params: { query }, signal }));
    return (page as unknown as Schemas["ShortList"]).requests;
  },
});

export interface Answered {
  /** Ids of the providers that have answered a request. */
  providers: string[];
  /** Whether a client other than the console was answered. */
  client: boolean;
}

type Row = Pick<Schemas["ShortRequest"], "request_id" | "key_id" | "replay_of">;

/** Returns whose requests were answered without an error. `sent` are the requests of this browser. Pure. */
export function answeredOf(byProvider: readonly TopRow[], newest: readonly Row[], sent: readonly string[]): Answered {
  const own = new Set(sent);
  return {
    providers: byProvider.flatMap(({ key, requests, errors }) => (key !== "" && requests > errors ? key : [])),
    client: newest.some(({ request_id, key_id, replay_of }) => {
      return key_id !== SERVICE && replay_of == null && !own.has(request_id);
    }),
  };
}

export const answeredQuery = queryOptions({
  queryKey: [OVERVIEW, "answered"],
  queryFn: async ({ signal }) => {
    const to = Date.now();
    const query = { status: ["completed"], limit: LOOKED_AT, view: "short", count: false };
    const [byProvider, page] = await Promise.all([
      fetchTop({ from: to - EVER, to, by: "provider" }, signal),
      data(api.GET("/api/requests", { params: { query }, signal })),
    ]);
    return answeredOf(byProvider, (page as unknown as Schemas["ShortList"]).requests, sentIds());
  },
});
