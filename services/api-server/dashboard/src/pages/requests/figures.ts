/** Sums and bars over the requests of a list. Pure. */

import type { Figures, Points } from "../../api/request-figures";
import type { RequestRow } from "../../api/request-list";

export interface Sums {
  requests: number | null;
  failed: number | null;
  prompt: number;
  completion: number;
  /** In dollars; the known ones. */
  cost: number;
  /** Requests whose cost is unknown; `null` if that is not known. */
  unpriced: number | null;
  p50: number | null;
  p95: number | null;
  /** Rows that the percentiles are of; `null` for all requests. */
  measured: number | null;
}

/** Maximum bars. */
const BARS = 60;

export interface Bar {
  from: number;
  to: number;
  requests: number;
  errors: number;
}

/** Returns the points as bars, within the ends of the time. */
export function barsOf({ t0, step, ends, requests, errors }: Points): Bar[] {
  const each = Math.max(1, Math.ceil(requests.length / BARS));
  return Array.from({ length: Math.ceil(requests.length / each) }, (_, at) => {
    const [first, last] = [at * each, Math.min(requests.length, (at + 1) * each)];
    return {
      from: Math.max(ends.from, t0 + first * step),
      to: Math.min(ends.to, t0 + last * step),
      requests: sum(requests.slice(first, last)),
      errors: sum(errors.slice(first, last)),
    };
  });
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Returns the value below which so many of a hundred are, by the nearest rank; `null` without values. */
export function percentile(values: number[], percent: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? null;
}

/** Returns the sums of rows. */
export function sumsOfRows(rows: RequestRow[]): Sums {
  const durations = rows.flatMap(({ duration_ms }) => duration_ms ?? []);
  const ended = rows.filter(({ status }) => status !== "pending");
  return {
    requests: rows.length,
    failed: rows.filter(({ error }) => error != null).length,
    prompt: sum(rows.map(({ prompt_tokens }) => prompt_tokens ?? 0)),
    completion: sum(rows.map(({ completion_tokens }) => completion_tokens ?? 0)),
    cost: sum(rows.map(({ cost_nanos }) => cost_nanos ?? 0)) / 1e9,
    unpriced: ended.filter(({ cost_nanos }) => cost_nanos == null).length,
    p50: percentile(durations, 50),
    p95: percentile(durations, 95),
    measured: durations.length,
  };
}

/** Returns the sums of all requests of a time. Percentiles that are not kept for all are those of the rows. */
export function sumsOfAll({ points, unpriced, single }: Figures, rows: RequestRow[]): Sums {
  const { p50, p95, measured } = sumsOfRows(rows);
  return {
    requests: sum(points.requests),
    failed: sum(points.errors),
    prompt: sum(points.prompt),
    completion: sum(points.completion),
    cost: sum(points.cost_nano) / 1e9,
    unpriced,
    ...(single ? { p50: single.p50 ?? null, p95: single.p95 ?? null, measured: null } : { p50, p95, measured }),
  };
}
