/** The waterfall of a request: its attempts and what lies between them. Pure. */

import type { Attempt } from "../../api/request";

/** A part of an attempt. Times are milliseconds since the request arrived. */
export interface Phase {
  name: "connection" | "headers" | "first byte" | "answer" | "not recorded";
  /** What the phase is, in words. */
  words: string;
  from: number;
  to: number;
}

export interface AttemptRow {
  kind: "attempt";
  number: number;
  attempt: Attempt;
  from: number;
  to: number;
  phases: Phase[];
}

/** Time in which no provider was asked. */
export interface GapRow {
  kind: "gap";
  from: number;
  to: number;
  words: string;
}

export type Row = AttemptRow | GapRow;

/** Gaps below this number of milliseconds are not shown. */
const LEAST_GAP = 2;

/** Returns the rows of a waterfall in the order of their beginning, and when the last one ends. */
export function waterfall(
  attempts: readonly Attempt[],
  duration: number | null | undefined,
): { rows: Row[]; end: number } {
  const shown = attempts
    .map((attempt, at): AttemptRow => {
      const to = Math.max(attempt.start_ms, attempt.end_ms);
      return { kind: "attempt", number: at + 1, attempt, from: attempt.start_ms, to, phases: phasesOf(attempt) };
    })
    .sort((a, b) => a.from - b.from);
  const rows: Row[] = [];
  let reached = 0;
  for (const row of shown) {
    if (row.from - reached >= LEAST_GAP) {
      const words =
        rows.length === 0 ? "before the first attempt: reading, limits, queue" : "waiting before the next attempt";
      rows.push({ kind: "gap", from: reached, to: row.from, words });
    }
    rows.push(row);
    reached = Math.max(reached, row.to);
  }
  const end = Math.max(reached, duration ?? 0);
  if (shown.length > 0 && end - reached >= LEAST_GAP)
    rows.push({ kind: "gap", from: reached, to: end, words: "after the last attempt" });
  return { rows, end };
}

/** Returns the phases of an attempt. A time that was not recorded joins its phase to the next one. */
export function phasesOf(attempt: Attempt): Phase[] {
  const { start_ms, connect_ms, headers_ms, first_byte_ms } = attempt;
  const end = Math.max(start_ms, attempt.end_ms);
  const phases: Phase[] = [];
  let from = start_ms;
  const add = (name: Phase["name"], words: string, to: number | null | undefined) => {
    if (to == null || to < from) return;
    phases.push({ name, words, from, to });
    from = to;
  };
  add("connection", "connection", connect_ms);
  add("headers", connect_ms == null ? "connection and headers" : "headers", headers_ms);
  if (first_byte_ms == null) {
    if (end > from || phases.length === 0) phases.push({ name: "not recorded", words: "until the end", from, to: end });
    return phases;
  }
  const isPartlyKnown = headers_ms != null;
  add(
    isPartlyKnown ? "first byte" : "not recorded",
    isPartlyKnown ? "first byte" : "until the first byte",
    first_byte_ms,
  );
  add("answer", "answer", end);
  return phases;
}

/** Returns round times for the axis of a waterfall, at most six. */
export function ticksOf(end: number): number[] {
  if (end <= 0) return [0];
  // Times are whole milliseconds.
  const rough = Math.max(1, end / 5);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= rough) ?? rough;
  return Array.from({ length: Math.floor(end / step) + 1 }, (_, at) => at * step);
}
