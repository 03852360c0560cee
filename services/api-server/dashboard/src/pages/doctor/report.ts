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

export type Verdict = "pass" | "partial" | "fail" | "skipped";

/** A fault that was played against a route. */
export interface Score {
  id: string;
  name: string;
  done: string;
  expected: string;
  seen: string;
  verdict: Verdict;
  remedy: string | null;
}

export interface RouteScores {
  /** Model name of the route; `null` for requests that name no model. */
  route: string | null;
  targets: string[];
  scores: Score[];
}

export interface Scorecard {
  played_at: number | null;
  routes: RouteScores[];
  /** Routes that were not played, with the reason. */
  not_played: string[];
}

export const VERDICTS: Record<Verdict, [Tone, string]> = {
  pass: ["ok", "as it should"],
  partial: ["warn", "safe, but not all of it"],
  fail: ["bad", "badly"],
  skipped: ["off", "not played"],
};

/** What the doctor has found last. */
export interface Results {
  running: boolean;
  report: Report | null;
  scorecard: Scorecard | null;
}

/** Reads an answer of any version: what is missing is unknown, and unknown states are not checked ones. */
export function resultsOf(answer: unknown): Results {
  const { running, checks, scorecard } = record(answer);
  return {
    running: running === true,
    report: isRecord(checks) ? reportOf(checks) : null,
    scorecard: isRecord(scorecard) ? scorecardOf(scorecard) : null,
  };
}

function scorecardOf({ played_at: at, routes, not_played: left }: Record<string, unknown>): Scorecard {
  return {
    played_at: typeof at === "number" ? at : null,
    routes: list(routes)
      .map(record)
      .map(({ route, targets, scores }) => ({
        route: textOr(route),
        targets: list(targets).map(String),
        scores: list(scores)
          .map(record)
          .map((score) => ({
            id: String(score.id ?? ""),
            name: String(score.name ?? ""),
            done: String(score.done ?? ""),
            expected: String(score.expected ?? ""),
            seen: String(score.seen ?? ""),
            verdict: (["pass", "partial", "fail"] as const).find((verdict) => verdict === score.verdict) ?? "skipped",
            remedy: textOr(score.remedy),
          })),
      })),
    not_played: list(left).map(String),
  };
}

function reportOf({ checked_at: at, checks }: Record<string, unknown>): Report {
  return {
    checked_at: typeof at === "number" ? at : null,
    checks: list(checks)
      .map(record)
      .map((check) => ({
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

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function record(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function textOr(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
