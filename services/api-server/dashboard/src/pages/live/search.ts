import { flagParam, numberParam, wordParam } from "../../app/search";
import { RANGE_NAMES, type RangeSearch } from "../../format/ranges";

export const SPLITS = ["provider", "model", "key", "status"] as const;
export type Split = (typeof SPLITS)[number];

export interface LiveSearch extends RangeSearch {
  by?: Split | undefined;
  /** Whether the period before is shown, too. */
  compare?: boolean | undefined;
  /** Whether the figures stand still. */
  paused?: boolean | undefined;
}

export function liveSearch(raw: Record<string, unknown>): LiveSearch {
  return {
    by: wordParam(raw, "by", SPLITS),
    compare: flagParam(raw, "compare") || undefined,
    paused: flagParam(raw, "paused") || undefined,
    range: wordParam(raw, "range", RANGE_NAMES),
    from: numberParam(raw, "from"),
    to: numberParam(raw, "to"),
  };
}
