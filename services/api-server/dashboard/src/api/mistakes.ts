/** Where the mistakes of a refused request belong. */

import { type RefObject, useEffect } from "react";
import type { FieldMistake, Problem } from "./problem";

/**
 * Returns the mistakes by field. A mistake belongs to the field with its path, such as `targets[1].weight`, or else to
 * the nearest one above it. The others are under the empty name.
 */
export function mistakesByPath(problem: Problem | null, fields: readonly string[]): Map<string, string[]> {
  const sorted = new Map<string, string[]>();
  for (const { field: path, message } of mistakesOf(problem)) {
    const field = fields.filter((name) => covers(name, path)).sort((a, b) => b.length - a.length)[0] ?? "";
    sorted.set(field, [...(sorted.get(field) ?? []), message]);
  }
  return sorted;
}

/** Returns the mistakes by field, for a form whose fields are also those of an object `config`. */
export function mistakesByField(problem: Problem | null, fields: readonly string[]): Map<string, string[]> {
  const sorted = new Map<string, string[]>();
  const paths = [...fields, ...fields.map((name) => `config.${name}`)];
  for (const [path, mistakes] of mistakesByPath(problem, paths)) {
    const field = path.replace(/^config\./, "");
    sorted.set(field, [...(sorted.get(field) ?? []), ...mistakes]);
  }
  return sorted;
}

/** Returns the mistakes with their paths. Without `details`, the path is the first word of the text. */
function mistakesOf(problem: Problem | null): FieldMistake[] {
  const { fields, mistakes = [] } = problem?.details ?? {};
  return fields ?? mistakes.map((message) => ({ field: message.match(/^[^\s:]+/)?.[0] ?? "", message }));
}

function covers(field: string, path: string): boolean {
  return path === field || path.startsWith(`${field}.`) || path.startsWith(`${field}[`);
}

/** Moves the focus to the first field or section with a mistake, or shows the message, once a request was refused. */
export function useFocusOnMistake(form: RefObject<HTMLElement | null>, problem: Problem | null): void {
  useEffect(() => {
    if (!problem) return;
    const wrong = form.current?.querySelector<HTMLElement>('[aria-invalid="true"], [data-mistake]');
    // The button may be far below it.
    if (!wrong) form.current?.querySelector('[role="alert"]')?.scrollIntoView({ block: "nearest" });
    // A field may be folded away.
    for (let box = wrong?.closest("details"); box; box = box.parentElement?.closest("details")) box.open = true;
    wrong?.focus();
  }, [form, problem]);
}
