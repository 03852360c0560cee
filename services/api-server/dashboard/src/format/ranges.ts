/** Ranges of time that pages offer, as they are in an address. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Ranges that end now, with their length. */
export const RANGES = {
  "15m": ["15 min", 15 * MINUTE],
  "1h": ["1 h", HOUR],
  "6h": ["6 h", 6 * HOUR],
  "24h": ["24 h", DAY],
  "7d": ["7 d", 7 * DAY],
  "30d": ["30 d", 30 * DAY],
  "90d": ["90 d", 90 * DAY],
} as const satisfies Record<string, readonly [label: string, ms: number]>;

export type RangeName = keyof typeof RANGES;
export const RANGE_NAMES = Object.keys(RANGES) as RangeName[];

/** Ranges of time that lists offer. */
export type ListRange = RangeName | "any";

/** A range with fixed ends, or one that ends now. */
export interface RangeSearch {
  range?: RangeName | undefined;
  from?: number | undefined;
  to?: number | undefined;
}

export interface FixedRange {
  from: number;
  to: number;
}

/** Returns the ends of a range. `fallback` is used if the address names none. */
export function endsOf({ range, from, to }: RangeSearch, fallback: RangeName, now: number): FixedRange {
  if (range === undefined && from !== undefined) {
    const end = to ?? now;
    if (end > from) return { from, to: end };
  }
  return { from: now - RANGES[range ?? fallback][1], to: now };
}

/** Returns the time that a list is about; ends that are absent are open. Without a range, they are the given ones. */
export function openEnds(
  { range, from, to }: { range: ListRange | undefined } & Pick<RangeSearch, "from" | "to">,
  now: number,
): Partial<FixedRange> {
  if (range === "any") return {};
  if (range !== undefined) return { from: now - RANGES[range][1] };
  return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
}

/** Returns the milliseconds between two points of a chart: whole minutes, with at most 360 points. */
export function stepFor({ from, to }: FixedRange): number {
  const length = to - from;
  const steps = [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY];
  return steps.find((step) => length / step <= 360) ?? 2 * DAY;
}

/** Returns whether the given ends are in order. */
export function fromTo({ from, to }: RangeSearch): boolean {
  return from === undefined || to === undefined || to > from;
}
