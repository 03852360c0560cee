/** Charts of the series of the request log. */

import type { RequestFilters } from "../../api/request-filters";
import type { Columns, ErrorSeries, MetricSeries, MetricSplit } from "../../api/usage";
import { dollars, percent, short } from "../../format/numbers";
import { duration } from "../../format/time";

export interface Line {
  label: string;
  values: (number | null)[];
  /** Whether it is about the period before. */
  isBefore?: boolean;
  /** The requests that it counts, where filters can tell them. */
  filters?: RequestFilters | undefined;
}

export interface ChartData {
  title: string;
  lines: Line[];
  /** Returns a value as text. */
  format: (value: number) => string;
}

/** Maximum lines of a chart. */
const MAX_LINES = 8;

const NANOS = 1e9;

/** Returns the times of the points in milliseconds. */
export function timesOf({ t0, step, series }: MetricSeries): number[] {
  const points = series[0]?.requests.length ?? 0;
  return Array.from({ length: points }, (_, at) => t0 + at * step);
}

/** Returns the name of a series. */
export function labelOf(key: string | null, split: boolean, name?: string): string {
  if (key === null) return split ? "others" : "all";
  return key === "" ? "none" : (name ?? key);
}

/** Returns the filters of the list of requests for the series of a subject; `undefined` if there are none for it. */
export function filtersOf(by: MetricSplit, key: string | null): RequestFilters | undefined {
  return key ? { [by]: key } : undefined;
}

/**
 * Returns the charts of all requests: each has a line for each of its measures, and a second one for the period before
 * if that is given.
 */
export function chartsOfAll({ series, step }: MetricSeries, before?: MetricSeries): ChartData[] {
  const all = series[0];
  if (!all) return [];
  const seconds = step / 1000;
  const of = (title: string, format: ChartData["format"], linesOf: (one: Columns) => Line[]): ChartData => {
    const earlier = before?.series[0];
    const lines = linesOf(all);
    if (!earlier) return { title, format, lines };
    const others = linesOf(earlier);
    return { title, format, lines: lines.flatMap((line, at) => [line, beforeOf(line, others[at]!)]) };
  };
  return [
    of("Requests per second", rate, (one) => [
      { label: "requests", values: per(one.requests, seconds) },
      { label: "errors", values: per(one.errors, seconds), filters: { has_error: true } },
    ]),
    of("Tokens per second", rate, (one) => [
      { label: "input", values: per(one.prompt, seconds) },
      { label: "output", values: per(one.completion, seconds) },
    ]),
    of("Duration", duration, (one) => [
      { label: "p50", values: one.p50 },
      { label: "p95", values: one.p95 },
      { label: "p99", values: one.p99 },
    ]),
    of("Time to the first token", duration, (one) => [
      { label: "p50", values: one.ttft50 },
      { label: "p95", values: one.ttft95 },
    ]),
    of(`Cost per ${duration(step)}`, dollars, (one) => [{ label: "cost", values: cost(one) }]),
  ];
}

/** Returns the line of the period before, with a value for each point of the present one. */
function beforeOf({ label, values }: Line, earlier: Line): Line {
  return { label: `${label}, before`, isBefore: true, values: values.map((_, at) => earlier.values[at] ?? null) };
}

/** Returns the chart of the errors by the status with which their requests ended; `null` if there were none. */
export function errorChart({ series, step }: ErrorSeries, words: (status: string) => string): ChartData | null {
  const failed = series.filter(({ errors }) => errors.some((count) => count > 0)).slice(0, MAX_LINES);
  if (failed.length === 0) return null;
  const lines = failed.map(({ key, errors }) => ({
    label: key ? words(key) : labelOf(key, true),
    values: per(errors, step / 1000),
    filters: key ? { status: key, has_error: true } : undefined,
  }));
  return { title: "Errors per second, by status", lines, format: rate };
}

/** Returns the charts of a subject: each has one measure, with a line for each of its values. */
export function chartsOfSplit({ series, step }: MetricSeries, by: MetricSplit): ChartData[] {
  const seconds = step / 1000;
  const shown = series.slice(0, MAX_LINES);
  const of = (title: string, format: ChartData["format"], values: (one: Columns) => Line["values"]): ChartData => ({
    title,
    format,
    lines: shown.map((one) => ({
      label: labelOf(one.key, true, one.name),
      values: values(one),
      filters: filtersOf(by, one.key),
    })),
  });
  return [
    of("Requests per second", rate, (one) => per(one.requests, seconds)),
    of("Errors per second", rate, (one) => per(one.errors, seconds)),
    of("Tokens per second", rate, (one) => per(both(one), seconds)),
    of("Duration, p95", duration, (one) => one.p95),
    of("Time to the first token, p95", duration, (one) => one.ttft95),
    of(`Cost per ${duration(step)}`, dollars, cost),
  ];
}

/** Returns the number of series that have no line of their own. */
export function hiddenLines({ series }: MetricSeries): number {
  return Math.max(0, series.length - MAX_LINES);
}

/** Returns how a number has changed, such as `+12 %`; `null` if there was and is nothing. */
export function changeOf(now: number, before: number): string | null {
  if (before === 0) return now === 0 ? null : "new";
  const change = (100 * (now - before)) / before;
  return `${change > 0 ? "+" : ""}${percent(Math.abs(change) < 10 ? change : Math.round(change))}`;
}

function both({ prompt, completion }: Columns): number[] {
  return prompt.map((tokens, at) => tokens + (completion[at] ?? 0));
}

function cost({ cost_nano }: Columns): number[] {
  return cost_nano.map((nanos) => nanos / NANOS);
}

function per(values: number[], seconds: number): number[] {
  return values.map((value) => value / seconds);
}

/** Returns a rate with as many digits as it needs. */
export function rate(value: number): string {
  if (value === 0 || value >= 10) return short(value);
  return value >= 0.001 ? String(Number(value.toPrecision(2))) : "< 0.001";
}

/** Milliseconds after which the figures are read again: faster than the points only where these are short. */
export function refreshAfter(step: number): number {
  return step <= 60_000 ? 10_000 : 60_000;
}
