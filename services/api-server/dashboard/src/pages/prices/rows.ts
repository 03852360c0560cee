/** Rows of the price table. Pure. */

import type { Schemas } from "../../api/client";
import { UNKNOWN } from "../../format/time";
import { typedAmount } from "./amounts";
import type { Layer } from "./search";

export type { Layer } from "./search";

export type PriceRow = Schemas["PriceRow"];

/** Where a row comes from, the layer that wins first. */
export const LAYERS: readonly (readonly [Layer, string])[] = [
  ["api", "Yours"],
  ["file", "Imported"],
  ["shipped", "Shipped"],
];

/** Returns the rows of a layer whose ids have all words of a text. */
export function foundIn(rows: readonly PriceRow[], wanted: string, layer: Layer | undefined): PriceRow[] {
  const words = wanted.toLowerCase().split(/\s+/);
  return rows.filter(
    ({ id, source }) =>
      (layer === undefined || source === layer) && words.every((word) => id.toLowerCase().includes(word)),
  );
}

/** Returns the ids of the user's own rows, in small letters. */
export function replacedIds(rows: readonly PriceRow[]): Set<string> {
  return new Set(rows.filter(({ source }) => source === "api").map(({ id }) => id.toLowerCase()));
}

export interface Price {
  id: string;
  source: string;
  verified: boolean;
  /** Dollars per million tokens, as texts: they are exact decimals. */
  input: string | null;
  output: string | null;
  cacheRead: string | null;
  cacheWrite: string | null;
  /** What changes the price, such as a long prompt. */
  conditions: string[];
  note: string | null;
}

type Json = Record<string, unknown>;

const record = (value: unknown): Json =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
/** Whole numbers are another unit than texts. */
const decimal = (value: unknown, per: "token" | "unit" = "token"): string | null => {
  const typed = typedAmount(value, per);
  return typeof typed === "string" || typeof typed === "number" ? String(typed) : null;
};

/** Returns a price with cents at least, such as `$12.50` or `$0.075`. */
export function perMillion(price: string | null): string {
  if (price === null) return UNKNOWN;
  if (!/^\d+(\.\d+)?$/.test(price) || Number(price) === 0) return `$${price}`;
  const [whole, part = ""] = price.split(".");
  return part === "" ? `$${whole}` : `$${whole}.${part.padEnd(2, "0")}`;
}

/** Returns a ratio in words, such as `× 1/2`. */
function times(ratio: unknown): string | null {
  if (!Array.isArray(ratio)) return null;
  return `× ${ratio[0]}${ratio[1] === 1 ? "" : `/${ratio[1]}`}`;
}

export function priceOf(row: { id: string; source: string; verified: boolean; price: unknown }): Price {
  const price = record(row.price);
  // What is free has no prices of its own.
  const base = price.free === true ? { in: "0", out: "0" } : record(price.base);
  const conditions: string[] = [];
  const { from, until } = price;
  if (typeof from === "string") conditions.push(`from ${from}`);
  if (typeof until === "string") conditions.push(`until ${until}`);
  for (const over of Array.isArray(price.over) ? price.over.map(record) : []) {
    const prices = times(over.x) ?? `${perMillion(decimal(over.in))} in, ${perMillion(decimal(over.out))} out`;
    if (typeof over.input_gt === "number")
      conditions.push(`above ${over.input_gt.toLocaleString("en-GB")} input tokens: ${prices}`);
  }
  for (const [tier, value] of Object.entries(record(price.tier))) {
    const factor = times(record(value).x);
    if (factor !== null) conditions.push(`${tier}: ${factor}`);
  }
  for (const [unit, value] of Object.entries(record(price.units)))
    conditions.push(`${unit.replaceAll("_", " ")}: $${decimal(value, "unit")}`);
  return {
    id: row.id,
    source: row.source,
    verified: row.verified,
    input: decimal(base.in),
    output: decimal(base.out),
    cacheRead: decimal(base.cr),
    cacheWrite: decimal(base.cw_s),
    conditions,
    note: typeof price.note === "string" ? price.note : null,
  };
}
