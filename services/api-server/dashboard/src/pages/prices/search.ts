import { textParam, wordParam } from "../../app/search";

/** Where a row comes from. */
export const SOURCES = ["api", "file", "shipped"] as const;
export type Layer = (typeof SOURCES)[number];

export interface PricesSearch {
  q?: string | undefined;
  layer?: Layer | undefined;
}

export function pricesSearch(raw: Record<string, unknown>): PricesSearch {
  return { q: textParam(raw, "q"), layer: wordParam(raw, "layer", SOURCES) };
}
