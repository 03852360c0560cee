import { textParam, wordParam } from "../../../app/search";

export const UNITS = ["words", "lines"] as const;

export interface ReplaySearch {
  /** Id of the request that the original is compared with. */
  with?: string | undefined;
  /** Unit of the comparison; chosen by the length of the answers if it is not given. */
  by?: (typeof UNITS)[number] | undefined;
}

export function replaySearch(raw: Record<string, unknown>): ReplaySearch {
  return { with: textParam(raw, "with"), by: wordParam(raw, "by", UNITS) };
}
