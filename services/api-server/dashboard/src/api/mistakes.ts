/** Where the mistakes of a nested document belong. */

import { type RefObject, useEffect } from "react";
import type { Problem } from "./problem";

/**
 * Returns the mistakes by field. A mistake begins with the path of what is wrong, such as `targets[1].weight`, and
 * belongs to the field with that path, or else to the nearest one above it. The others are under the empty name.
 */
export function mistakesByPath(problem: Problem | null, fields: readonly string[]): Map<string, string[]> {
  const sorted = new Map<string, string[]>();
  for (const mistake of problem?.details.mistakes ?? []) {
    const path = mistake.match(/^[^\s:]+/)?.[0] ?? "";
    const field = fields.filter((name) => covers(name, path)).sort((a, b) => b.length - a.length)[0] ?? "";
    sorted.set(field, [...(sorted.get(field) ?? []), mistake]);
  }
  return sorted;
}

function covers(field: string, path: string): boolean {
  return path === field || path.startsWith(`${field}.`) || path.startsWith(`${field}[`);
}

/** Moves the focus to the first field with a mistake, once a request has been refused. */
export function useFocusOnMistake(form: RefObject<HTMLElement | null>, problem: Problem | null): void {
  useEffect(() => {
    if (problem) form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [form, problem]);
}
