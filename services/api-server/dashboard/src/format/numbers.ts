/** Counts, sizes, tokens and money as text. Unknown is `–`, zero is `0`. */

import { UNKNOWN } from "./time";

const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

/** Returns a count with separators, such as `1,204`. */
export function count(value: number | null | undefined): string {
  return value == null || !Number.isFinite(value) ? UNKNOWN : whole.format(value);
}

/** Returns a count in at most four characters and a unit, such as `4.1 k` or `12 M`. */
export function short(value: number | null | undefined): string {
  if (value == null || !Number.isFinite(value)) return UNKNOWN;
  for (const [unit, size] of [
    ["G", 1e9],
    ["M", 1e6],
    ["k", 1e3],
  ] as const) {
    if (Math.abs(value) >= size) return `${digits(value / size)} ${unit}`;
  }
  return whole.format(value);
}

/** Returns a size, such as `14 KB`. */
export function bytes(value: number | null | undefined): string {
  if (value == null || !Number.isFinite(value)) return UNKNOWN;
  for (const [unit, size] of [
    ["GB", 1e9],
    ["MB", 1e6],
    ["KB", 1e3],
  ] as const) {
    if (value >= size) return `${digits(value / size)} ${unit}`;
  }
  return `${whole.format(value)} B`;
}

function digits(value: number): string {
  return Math.abs(value) < 10 ? value.toFixed(1).replace(/\.0$/, "") : whole.format(value);
}

/** Returns an amount of dollars with as many digits as it needs, such as `$0.0031`, `$4.12` or `$0`. */
export function dollars(value: number | null | undefined): string {
  if (value == null || !Number.isFinite(value)) return UNKNOWN;
  if (value === 0) return "$0";
  const size = Math.abs(value);
  if (size >= 0.1) return `${value < 0 ? "-" : ""}$${size.toFixed(2).replace(/\B(?=(\d{3})+(?!\d))/g, ",")}`;
  if (size < 1e-6) return "< $0.000001";
  const decimals = Math.min(6, 1 - Math.floor(Math.log10(size)));
  return `${value < 0 ? "-" : ""}$${size.toFixed(decimals).replace(/0+$/, "")}`;
}

/** Returns a percentage with one digit after the point, if that is not zero. */
export function percent(value: number | null | undefined): string {
  return value == null || !Number.isFinite(value) ? UNKNOWN : `${value.toFixed(1).replace(/\.0$/, "")} %`;
}

/** Returns `one` or `many` with the count, such as `1 model` or `3 models`. */
export function plural(value: number, one: string, many: string = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** Returns the beginning of a text, up to a word that ends before `most` characters; what is left out is marked. */
export function clipped(text: string, most: number): string {
  if (text.length < most) return text;
  const start = text.slice(0, most - 1);
  const end = start.lastIndexOf(" ");
  return `${start.slice(0, end > most / 2 ? end : most - 1).replace(/[\s.,;:]+$/, "")}…`;
}
