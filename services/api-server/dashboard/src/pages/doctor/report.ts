/** The checks of the installation, as `GET /api/doctor` reports them. */

import type { Tone } from "../../parts/mark";

export type CheckState = "ok" | "warn" | "fail" | "skipped";

export interface Check {
  /** Area, subject and aspect, separated by dots: `provider.openai.key`. */
  id: string;
  state: CheckState;
  /** What was found. */
  finding: string;
  /** What to do about it. */
  remedy: string | null;
  /** Page and section of the documentation, or a page of the console. */
  link: string | null;
}

export interface Report {
  /** When the checks were made; `null` if they never were. */
  checked_at: number | null;
  checks: Check[];
}

export const STATES: Record<CheckState, [Tone, string]> = {
  ok: ["ok", "fine"],
  warn: ["warn", "look at it"],
  fail: ["bad", "broken"],
  skipped: ["off", "not checked"],
};

const ORDER: CheckState[] = ["fail", "warn", "ok", "skipped"];

/** Reads an answer of any version: what is missing is unknown, and unknown states are not checked ones. */
export function reportOf(answer: unknown): Report {
  const { checked_at: at, checks } = record(answer);
  return {
    checked_at: typeof at === "number" ? at : null,
    checks: (Array.isArray(checks) ? checks : []).map(record).map((check) => ({
      id: String(check.id ?? ""),
      state: ORDER.find((state) => state === check.state) ?? "skipped",
      finding: String(check.finding ?? ""),
      remedy: textOr(check.remedy),
      link: textOr(check.link),
    })),
  };
}

/** Returns the checks by area. Within each, and of the areas, the worst is the first. */
export function areasOf(checks: readonly Check[]): [area: string, checks: Check[]][] {
  const areas = new Map<string, Check[]>();
  for (const check of checks) {
    const area = check.id.split(".")[0] ?? "";
    areas.set(area, [...(areas.get(area) ?? []), check]);
  }
  const worst = (list: Check[]) => Math.min(...list.map(({ state }) => ORDER.indexOf(state)));
  const sorted = [...areas].map(([area, list]): [string, Check[]] => [area, list.toSorted(byState)]);
  return sorted.sort(([, a], [, b]) => worst(a) - worst(b));
}

const byState = (a: Check, b: Check) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state);

/** Returns how many checks have a state. */
export function countOf(checks: readonly Check[], state: CheckState): number {
  return checks.filter((check) => check.state === state).length;
}

/** Returns the report as text, for somebody who helps. */
export function asText({ checks }: Report): string {
  return checks
    .map(
      ({ id, state, finding, remedy }) => `${state.padEnd(7)} ${id}: ${finding}${remedy ? `\n        ${remedy}` : ""}`,
    )
    .join("\n");
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function textOr(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
