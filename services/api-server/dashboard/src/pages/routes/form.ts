/** The form of a route: what is typed, and the document that is sent. */

import type { RouteView } from "../../api/access-queries";
import { ROUTE } from "../../api/forms";
import { documentOf, type Entry, entryOf, isSameEntry } from "../../forms/entry";
import { type FormNode, nodeAt, pathsIn } from "../../forms/schema";

export const POLICIES = [
  ["priority", "priority: in the order below"],
  ["weighted", "weighted: at random, in proportion to the weights"],
  ["round-robin", "round-robin: in turn"],
  ["least-busy", "least-busy: the fewest requests in flight first"],
  ["latency", "latency: the fastest first token first"],
  ["cheapest", "cheapest: the lowest price first"],
] as const;

export const DEADLINES = [
  ["connect_ms", "Connect"],
  ["headers_ms", "Headers"],
  ["first_token_ms", "First token"],
  ["idle_ms", "Silence"],
  ["total_ms", "Total"],
] as const;

/** The fields of a target, and those of a route without its targets. */
export const TARGET = nodeAt(ROUTE, "targets").items as FormNode;
export const FIELDS: FormNode = without(ROUTE, "targets");

export interface TargetDraft extends Entry {
  /** Identity while targets are moved. */
  key: number;
}

export interface RouteDraft extends Entry {
  targets: TargetDraft[];
}

/** The server sets these; `etag` is the version that was read. */
const OWN = ["id", "problems", "created_at", "updated_at", "etag"];

// Input of an earlier page has keys, too.
let lastKey = Date.now();

export function newTarget(stored: object = {}): TargetDraft {
  lastKey += 1;
  return { ...entryOf(stored), key: lastKey };
}

/** Returns the form of a new route. */
export function emptyDraft(): RouteDraft {
  return { ...entryOf({ enabled: true }), targets: [newTarget()] };
}

/** Returns the form of a stored route. */
export function draftOf(route: RouteView): RouteDraft {
  return { ...entryOf(route, [...OWN, "targets"]), targets: route.targets.map(newTarget) };
}

/** Returns the form of a copy of a route: its names cannot be used twice. */
export function copyOf(route: RouteView): RouteDraft {
  const { aliases: _, ...copied } = route;
  return draftOf({ ...copied, model: `${route.model}-copy` });
}

/** Returns the document to send, and the mistakes that keep it from being sent. */
export function bodyOf(draft: RouteDraft): { body: Record<string, unknown>; mistakes: string[] } {
  const { document, mistakes } = documentOf(FIELDS, draft);
  const targets = draft.targets.map((target) => documentOf(TARGET, target));
  return {
    body: { ...document, targets: targets.map(({ document }) => document) },
    mistakes: [
      ...mistakes,
      ...targets.flatMap(({ mistakes }, at) => mistakes.map((mistake) => `targets[${at}].${mistake}`)),
    ],
  };
}

/** Returns whether two forms would send the same document. */
export function isSame(a: RouteDraft, b: RouteDraft): boolean {
  const { length } = a.targets;
  return (
    isSameEntry(a, b) &&
    length === b.targets.length &&
    a.targets.every((target, at) => isSameEntry(target, b.targets[at] as TargetDraft))
  );
}

/** Returns the list with one entry moved by `by` places. It stays as it is at the ends. */
export function moved<T>(list: readonly T[], at: number, by: number): T[] {
  const to = at + by;
  const copy = [...list];
  if (at < 0 || at >= list.length || to < 0 || to >= list.length) return copy;
  copy.splice(to, 0, ...copy.splice(at, 1));
  return copy;
}

/** Returns all paths at which the form shows mistakes. */
export function pathsOf(draft: RouteDraft): string[] {
  return [...pathsIn(FIELDS), "targets", ...draft.targets.flatMap((_, at) => pathsIn(TARGET, `targets[${at}].`))];
}

/** Returns the problems of a route by the number of their target. */
export function problemsByTarget(problems: readonly string[]): Map<number, string> {
  const sorted = new Map<number, string>();
  for (const problem of problems) {
    const [, at, what] = problem.match(/^targets\[(\d+)\]: (.*)$/s) ?? [];
    if (at !== undefined && what !== undefined) sorted.set(Number(at), what);
  }
  return sorted;
}

/** Returns the share of the requests that each target of a weighted route gets first, in per cent. */
export function shares(weights: readonly string[]): (number | null)[] {
  const parsed = weights.map((weight) => (weight.trim() === "" ? 1 : Number(weight)));
  const sum = parsed.reduce((total, weight) => total + weight, 0);
  return parsed.map((weight) => (Number.isFinite(sum) && sum > 0 && weight >= 0 ? (100 * weight) / sum : null));
}

/** Returns a schema without one of its fields. */
function without(form: FormNode, name: string): FormNode {
  const { [name]: _, ...properties } = form.properties ?? {};
  return { ...form, properties, required: form.required?.filter((one) => one !== name) ?? [] };
}
