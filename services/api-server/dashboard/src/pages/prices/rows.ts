/** Rows of the price table. Pure. */

import { UNKNOWN } from "../../format/time";

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
const decimal = (value: unknown): string | null =>
  typeof value === "string" || typeof value === "number" ? String(value) : null;

/** Returns a price with cents at least, such as `$12.50` or `$0.075`. */
export function perMillion(price: string | null): string {
  if (price === null) return UNKNOWN;
  if (!/^\d+(\.\d+)?$/.test(price) || Number(price) === 0) return `$${price}`;
  const [whole, part = ""] = price.split(".");
  return part === "" ? `$${whole}` : `$${whole}.${part.padEnd(2, "0")}`;
}

export function priceOf(row: { id: string; source: string; verified: boolean; price: unknown }): Price {
  const price = record(row.price);
  // What is free has no prices of its own.
  const base = price.free === true ? { in: "0", out: "0" } : record(price.base);
  const conditions: string[] = [];
  for (const over of Array.isArray(price.over) ? price.over.map(record) : []) {
    if (typeof over.input_gt === "number")
      conditions.push(
        `above ${over.input_gt.toLocaleString("en-GB")} input tokens: ${perMillion(decimal(over.in))} in, ${perMillion(decimal(over.out))} out`,
      );
  }
  for (const [tier, value] of Object.entries(record(price.tier))) {
    const factor = record(value).x;
    if (Array.isArray(factor)) conditions.push(`${tier}: × ${factor[0]}${factor[1] === 1 ? "" : `/${factor[1]}`}`);
  }
  for (const [unit, value] of Object.entries(record(price.units)))
    conditions.push(`${unit.replaceAll("_", " ")}: $${decimal(value)}`);
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
