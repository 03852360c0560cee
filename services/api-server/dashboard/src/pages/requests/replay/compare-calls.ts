/** Tool calls of two answers beside each other. Pure. */

import type { Call } from "./live-answer";
import { isSame } from "./plan";

export interface CallRow {
  name: string;
  /** Arguments of the calls; `null` if only the other answer has the call. */
  before: string | null;
  after: string | null;
  isSame: boolean;
  /** Names of the arguments that differ, if both are objects. */
  differing: string[];
}

/** Pairs calls of the same tool in their order; those without a partner stand alone. */
export function compareCalls(before: readonly Call[], after: readonly Call[]): CallRow[] {
  const rest = [...after];
  const rows = before.map((call) => {
    const at = rest.findIndex(({ name }) => name === call.name);
    const [partner] = at === -1 ? [] : rest.splice(at, 1);
    return rowOf(call.name, call.input, partner?.input ?? null);
  });
  return [...rows, ...rest.map(({ name, input }) => rowOf(name, null, input))];
}

function rowOf(name: string, before: string | null, after: string | null): CallRow {
  if (before === null || after === null) return { name, before, after, isSame: false, differing: [] };
  const [a, b] = [parsed(before), parsed(after)];
  return { name, before, after, isSame: isSame(a, b), differing: differing(a, b) };
}

function differing(a: unknown, b: unknown): string[] {
  if (!isObject(a) || !isObject(b)) return [];
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].filter((name) => !(name in a && name in b && isSame(a[name], b[name])));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Arguments that are no JSON are compared as texts. */
function parsed(input: string): unknown {
  try {
    return JSON.parse(input);
  } catch {
    return input;
  }
}
