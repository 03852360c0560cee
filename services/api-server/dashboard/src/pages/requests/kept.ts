/** Choices for the list that this browser keeps: the range of time, the columns, and what is folded. */

import { create } from "zustand";
import { DEFAULT_RANGE, type ListRange } from "../../api/request-list";
import { RANGE_NAMES } from "../../format/ranges";
import { COLUMN_NAMES, type ColumnName, USUAL_COLUMNS } from "./columns";

export interface Kept {
  /** The range of a list whose address names none. */
  range: ListRange;
  columns: ColumnName[];
  /** Whether the requests in flight are shown above the list. */
  inFlight: boolean;
  /** Whether the figures of the list are shown above it. */
  figures: boolean;
}

const KEY = "signalbox.requests";
const DEFAULTS: Kept = { range: DEFAULT_RANGE, columns: USUAL_COLUMNS, inFlight: true, figures: true };

/** Returns stored choices; whatever is missing or not understood has its default. */
export function parseKept(stored: string | null): Kept {
  let given: Partial<Record<keyof Kept, unknown>> = {};
  try {
    const value: unknown = JSON.parse(stored ?? "{}");
    if (typeof value === "object" && value !== null) given = value;
  } catch {
    // Written by something else.
  }
  const flag = (value: unknown, byDefault: boolean) => (typeof value === "boolean" ? value : byDefault);
  const { columns } = given;
  return {
    range: ([...RANGE_NAMES, "any"] as const).find((range) => range === given.range) ?? DEFAULTS.range,
    columns: Array.isArray(columns) ? COLUMN_NAMES.filter((name) => columns.includes(name)) : DEFAULTS.columns,
    inFlight: flag(given.inFlight, DEFAULTS.inFlight),
    figures: flag(given.figures, DEFAULTS.figures),
  };
}

function stored(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    // Storage may be forbidden.
    return null;
  }
}

export const useKept = create<Kept>(() => parseKept(typeof localStorage === "undefined" ? null : stored()));

export function keep(changes: Partial<Kept>): void {
  useKept.setState(changes);
  try {
    localStorage.setItem(KEY, JSON.stringify(useKept.getState()));
  } catch {
    // Kept until the page is closed.
  }
}
