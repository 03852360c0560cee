/** The figures of a time, and those of the period before. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { asProblem, type Problem } from "../../api/problem";
import { type ErrorSeries, fetchErrors, fetchSeries, fetchTop, type MetricSeries, type TopRow } from "../../api/usage";
import { endsOf, type FixedRange, stepFor } from "../../format/ranges";
import { refreshAfter } from "./charts";
import type { LiveSearch } from "./search";

/** The range of an address without one. */
export const DEFAULT_RANGE = "1h";

interface Part {
  series: MetricSeries;
  rows: TopRow[];
}

export interface Figures extends Part {
  ends: FixedRange;
  /** Errors by status; `null` where the figures have a subject. */
  errors: ErrorSeries | null;
  /** The period before, or why it could not be read; `null` if it is not asked for. */
  before: Part | Problem | null;
}

/** Returns the period of the same length before a range, with its points at the same places. */
export function periodBefore({ from, to }: FixedRange, step: number): FixedRange {
  const shift = Math.ceil((to - from) / step) * step;
  return { from: from - shift, to: to - shift };
}

export function useFigures({ range, from, to, by, compare, paused }: LiveSearch) {
  const fixed = range === undefined && from !== undefined && to !== undefined && to < Date.now();
  const step = stepFor(endsOf({ range, from, to }, DEFAULT_RANGE, Date.now()));
  return useQuery({
    queryKey: ["metrics", range, from, to, by, compare],
    placeholderData: keepPreviousData,
    // Paused while the page is hidden, too.
    refetchInterval: paused || fixed ? false : refreshAfter(step),
    queryFn: async ({ signal }): Promise<Figures> => {
      const ends = endsOf({ range, from, to }, DEFAULT_RANGE, Date.now());
      const step = stepFor(ends);
      const part = async (ends: FixedRange): Promise<Part> => {
        const [series, rows] = await Promise.all([
          fetchSeries({ ...ends, step, by }, signal),
          fetchTop({ ...ends, by: by ?? "provider" }, signal),
        ]);
        return { series, rows };
      };
      const [now, errors, before] = await Promise.all([
        part(ends),
        by === undefined ? fetchErrors({ ...ends, step }, signal) : null,
        // It may be earlier than figures are kept.
        compare ? part(periodBefore(ends, step)).catch(asProblem) : null,
      ]);
      return { ...now, ends, errors, before };
    },
  });
}
