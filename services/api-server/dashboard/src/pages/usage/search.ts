import { GROUPS, type Group } from "../../api/usage";
import { numberParam, wordParam } from "../../app/search";
import { RANGE_NAMES, type RangeSearch } from "../../format/ranges";

export const MEASURES = ["cost", "tokens", "requests"] as const;
export type Measure = (typeof MEASURES)[number];

export interface UsageSearch extends RangeSearch {
  by?: Group | undefined;
  /** What the bars show. */
  show?: Measure | undefined;
}

export function usageSearch(raw: Record<string, unknown>): UsageSearch {
  return {
    by: wordParam(raw, "by", GROUPS),
    show: wordParam(raw, "show", MEASURES),
    range: wordParam(raw, "range", RANGE_NAMES),
    from: numberParam(raw, "from"),
    to: numberParam(raw, "to"),
  };
}
