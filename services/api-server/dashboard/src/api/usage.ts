/** Sums of the request log: by group, and over time. */

import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { type Schemas, send } from "./client";

export const GROUPS = ["key", "owner", "tag", "model", "provider"] as const;
export type Group = (typeof GROUPS)[number];

export type UsageRow = Schemas["UsageOfGroup"];

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
    queryFn: async ({ signal }) => (await (await send(usageUrl(by, span), { signal })).json()) as Schemas["UsageSums"],
    placeholderData: keepPreviousData,
  });

/** Figures of one series; each has a value for each point. All of them are there, as no `metrics` are asked for. */
export type Columns = Required<Omit<Schemas["Columns"], "name">> & Pick<Schemas["Columns"], "name">;

/** Subjects by which figures are split. */
export type MetricSplit = "provider" | "model" | "key" | "status";

export type MetricSeries = Required<Omit<Schemas["MetricSeries"], "series">> & { series: Columns[] };

export interface SeriesSelection {
  from: number;
  to: number;
  step: number;
  by?: MetricSplit | undefined;
}

export async function fetchSeries(selection: SeriesSelection, signal?: AbortSignal): Promise<MetricSeries> {
  const answer = await send(`/api/metrics/series?${query({ ...selection })}`, signal ? { signal } : {});
  return (await answer.json()) as MetricSeries;
}

/** The errors of a time, by the status with which their requests ended. */
export interface ErrorSeries {
  step: number;
  series: { key: string | null; errors: number[] }[];
}

export async function fetchErrors(selection: SeriesSelection, signal?: AbortSignal): Promise<ErrorSeries> {
  const params = query({ ...selection, by: "status", metrics: "errors" });
  return (await (await send(`/api/metrics/series?${params}`, signal ? { signal } : {})).json()) as ErrorSeries;
}

export type TopRow = Schemas["TopRow"];

export async function fetchTop(
  selection: { from: number; to: number; by: MetricSplit; limit?: number },
  signal?: AbortSignal,
): Promise<TopRow[]> {
  const answer = await send(
    `/api/metrics/top?${query({ ...selection, limit: selection.limit ?? 20 })}`,
    signal ? { signal } : {},
  );
  return ((await answer.json()) as Schemas["Top"]).rows;
}

function query(given: Record<string, string | number | undefined>): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(given)) if (value !== undefined) params.set(name, String(value));
  return params.toString();
}
