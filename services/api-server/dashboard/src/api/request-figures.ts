/** Figures of the list of requests: sums by model and provider over a time. */

import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import type { FixedRange } from "../format/ranges";
import { api, data, type Schemas } from "./client";
import { choices, type RequestFilters, timeOf } from "./request-list";
import { fetchTop, type TopRow } from "./usage";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Maximum points of a series: the more there are, the closer the sums are to the ends of the time. */
const POINTS = 720;
/** How far sums go back. */
const SUMS_KEPT = 400 * DAY;
/** How far sums by minute go back, with a day to spare. */
const MINUTES_KEPT = 30 * DAY;
/** Milliseconds for which figures are not read again. */
const STALE = 30_000;

/** Returns the milliseconds between points: whole minutes, or whole hours where no minutes are kept. */
export function fineStep({ from, to }: FixedRange, now: number): number {
  const unit = to - from <= 2 * DAY && from >= now - MINUTES_KEPT ? MINUTE : HOUR;
  return Math.max(1, Math.ceil((to - from) / POINTS / unit)) * unit;
}

/** Returns both ends of the time of a list. */
export function figureEnds(filters: RequestFilters, now: number): FixedRange {
  const { from = now - SUMS_KEPT + DAY, to = now } = timeOf(filters, now);
  return { from, to: Math.max(to, from + MINUTE) };
}

/** Returns whether the sums know all filters: they are kept by model and provider. */
export function isSummed({
  model: _,
  provider: __,
  range: ___,
  from: ____,
  to: _____,
  ...others
}: RequestFilters): boolean {
  return Object.values(others).every((value) => value === undefined);
}

export interface Points {
  t0: number;
  step: number;
  ends: FixedRange;
  requests: number[];
  errors: number[];
  prompt: number[];
  completion: number[];
  cost_nano: number[];
}

export interface Figures {
  points: Points;
  /** Requests without a known price; `null` if they cannot be told by the filters. */
  unpriced: number | null;
  /** Figures with percentiles, if a single row has all requests of the filters. */
  single: TopRow | null;
}

/** Returns the figures of the models, providers and the time of a list. Its other filters are left out. */
export const figuresQuery = (filters: RequestFilters) => {
  const { model, provider, range, from, to, session } = filters;
  const known = { model, provider, range, from, to, session };
  return queryOptions({
    queryKey: ["requests", "figures", known],
    staleTime: STALE,
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }): Promise<Figures> => {
      const now = Date.now();
      const ends = figureEnds(known, now);
      const [points, unpriced, single] = await Promise.all([
        pointsOf(known, ends, now, signal),
        unpricedOf(known, ends, signal),
        singleOf(known, ends, signal),
      ]);
      return { points, unpriced, single };
    },
  });
};

async function pointsOf(filters: RequestFilters, ends: FixedRange, now: number, signal: AbortSignal): Promise<Points> {
  const step = fineStep(ends, now);
  const metrics = "requests,errors,prompt,completion,cost_nano";
  const query = { ...ends, step, metrics, model: choices(filters.model), provider_id: choices(filters.provider) };
  const found = await data(api.GET("/api/metrics/series", { params: { query }, signal }));
  const none = { requests: [], errors: [], prompt: [], completion: [], cost_nano: [] };
  return { t0: found.t0, step: found.step, ends, ...none, ...(found.series[0] as Partial<Points> | undefined) };
}

/** Counts in whole hours, and by one of both only. */
async function unpricedOf({ model, provider }: RequestFilters, ends: FixedRange, signal: AbortSignal) {
  const [models, providers] = [choices(model), choices(provider)];
  if (models.length > 0 && providers.length > 0) return null;
  const by = providers.length > 0 ? "provider" : "model";
  const wanted = new Set([...models, ...providers]);
  const query = { by, ...ends };
  const { usage } = (await data(api.GET("/api/usage", { params: { query }, signal }))) as Schemas["UsageSums"];
  const rows = usage.filter(({ name }) => wanted.size === 0 || wanted.has(name ?? ""));
  return rows.reduce((sum, row) => sum + row.unpriced, 0);
}

/** Percentiles of several rows cannot be put together. */
async function singleOf({ model, provider }: RequestFilters, ends: FixedRange, signal: AbortSignal) {
  const [models, providers] = [choices(model), choices(provider)];
  if (models.length > 0 && providers.length > 0) return null;
  const by = models.length > 0 ? "model" : "provider";
  const wanted = models.length > 0 ? models : providers;
  const rows = await fetchTop({ ...ends, by }, signal);
  const found = wanted.length === 0 ? rows : rows.filter(({ key }) => wanted.includes(key));
  return found.length === 1 ? found[0]! : null;
}
