/** Charts of the series of the request log. */

import type { Columns, MetricSeries } from "../../api/usage";
import { dollars, short } from "../../format/numbers";
import { duration } from "../../format/time";

export interface Line {
  label: string;
  values: (number | null)[];
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

/** Returns the charts of all requests: each has a line for each of its measures. */
export function chartsOfAll({ series, step }: MetricSeries): ChartData[] {
  const all = series[0];
  if (!all) return [];
  const seconds = step / 1000;
  return [
    {
      title: "Requests per second",
      lines: [
        { label: "requests", values: per(all.requests, seconds) },
        { label: "errors", values: per(all.errors, seconds) },
      ],
      format: rate,
    },
    {
      title: "Tokens per second",
      lines: [
        { label: "input", values: per(all.prompt, seconds) },
        { label: "output", values: per(all.completion, seconds) },
      ],
      format: rate,
    },
    {
      title: "Duration",
      lines: [
        { label: "p50", values: all.p50 },
        { label: "p95", values: all.p95 },
        { label: "p99", values: all.p99 },
      ],
      format: duration,
    },
    {
      title: "Time to the first token",
      lines: [
        { label: "p50", values: all.ttft50 },
        { label: "p95", values: all.ttft95 },
      ],
      format: duration,
    },
    { title: `Cost per ${duration(step)}`, lines: [{ label: "cost", values: cost(all) }], format: dollars },
  ];
}

/** Returns the charts of providers or models: each has one measure, with a line for each of them. */
export function chartsOfSplit({ series, step }: MetricSeries): ChartData[] {
  const seconds = step / 1000;
  const shown = series.slice(0, MAX_LINES);
  const of = (title: string, format: ChartData["format"], values: (one: Columns) => Line["values"]): ChartData => ({
    title,
    format,
    lines: shown.map((one) => ({ label: labelOf(one.key, true, one.name), values: values(one) })),
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
