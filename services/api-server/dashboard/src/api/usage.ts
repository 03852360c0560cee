/** Sums of the request log: by group, and over time. */

import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { send } from "./client";

export const GROUPS = ["key", "owner", "tag", "model", "provider"] as const;
export type Group = (typeof GROUPS)[number];

export interface UsageRow {
  /** `null` for requests without one. */
  name: string | null;
  key_id?: string;
  requests: number;
  errors: number;
  prompt_tokens: number;
  completion_tokens: number;
  cost_usd: number;
  /** Requests whose cost is unknown. */
  unpriced: number;
}

export interface UsageSums {
  by: Group;
  usage: UsageRow[];
}

export interface Span {
  from?: number | undefined;
  to?: number | undefined;
}

/** Returns the address of the sums, also as a file with comma-separated values. */
export function usageUrl(by: Group, { from, to }: Span, format?: "csv"): string {
  return `/api/usage?${query({ by, from, to, format })}`;
}

export const usageQuery = (by: Group, span: Span) =>
  queryOptions({
    queryKey: ["usage", by, span],
    queryFn: async ({ signal }) => (await (await send(usageUrl(by, span), { signal })).json()) as UsageSums,
    placeholderData: keepPreviousData,
  });

/** Figures of one series; each has a value for each point. */
export interface Columns {
  /** Provider or model; empty without a provider, `null` for all or for the others. */
  key: string | null;
  requests: number[];
  errors: number[];
  prompt: number[];
  completion: number[];
  cost_nano: number[];
  p50: (number | null)[];
  p95: (number | null)[];
  p99: (number | null)[];
  ttft50: (number | null)[];
  ttft95: (number | null)[];
}

export interface MetricSeries {
  /** Time of the first point. */
  t0: number;
  /** Milliseconds between points. */
  step: number;
  series: Columns[];
  /** Time of the point that is not complete yet. */
  partial_from: number | null;
}

export interface SeriesSelection {
  from: number;
  to: number;
  step: number;
  by?: "provider" | "model" | undefined;
}

export async function fetchSeries(selection: SeriesSelection, signal?: AbortSignal): Promise<MetricSeries> {
  const answer = await send(`/api/metrics/series?${query({ ...selection })}`, signal ? { signal } : {});
  return (await answer.json()) as MetricSeries;
}

export interface TopRow {
  key: string;
  requests: number;
  errors: number;
  prompt: number;
  completion: number;
  cost_nano: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
  ttft50: number | null;
  ttft95: number | null;
}

export async function fetchTop(
  selection: { from: number; to: number; by: "provider" | "model" },
  signal?: AbortSignal,
): Promise<TopRow[]> {
  const answer = await send(`/api/metrics/top?${query({ ...selection, limit: 20 })}`, signal ? { signal } : {});
  return ((await answer.json()) as { rows: TopRow[] }).rows;
}

function query(given: Record<string, string | number | undefined>): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(given)) if (value !== undefined) params.set(name, String(value));
  return params.toString();
}
