/** The plan of a configuration that is to be applied. Pure. */

import type { FieldChange } from "../../parts/field-changes";

export interface Plan {
  created: string[];
  /** The client keys that were created; they are told only once. */
  keys?: { id: string; name: string; key: string }[];
  updated: { path: string; what: string[] }[];
  deleted: string[];
  unchanged: string[];
  /** The values of each field before and after; earlier versions of the server tell the names only. */
  changes?: PlannedChange[];
  /** Version of the configuration that the plan was made for. */
  base_version?: number | string;
}

/** Change of one field. Secrets are masked. */
export interface PlannedChange {
  /** Path of the entry, such as `providers.openai`. */
  path: string;
  field: string;
  before?: unknown;
  after?: unknown;
}

/** Returns the changes of an entry with their values as text, or only their names if the server tells no more. */
export function valuesOf(plan: Plan, path: string, names: string[]): FieldChange[] {
  const told = (plan.changes ?? []).filter((change) => change.path === path);
  if (told.length === 0) return names.map((field) => ({ field, before: null, after: null }));
  return told.map(({ field, before, after }) => ({ field, before: textOf(before), after: textOf(after) }));
}

function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Returns the number of entries that change. */
export function changesIn(plan: Plan): number {
  return plan.created.length + plan.updated.length + plan.deleted.length;
}

export const FORMATS = ["toml", "yaml", "json"] as const;
export type Format = (typeof FORMATS)[number];

/** Returns the format that a file name or the beginning of a text suggests. */
export function formatOf(name: string, text: string): Format {
  const extension = /\.(toml|ya?ml|json)$/i.exec(name)?.[1]?.toLowerCase();
  if (extension) return extension === "json" ? "json" : extension === "toml" ? "toml" : "yaml";
  if (text.trim() === "") return "toml";
  if (text.trimStart().startsWith("{")) return "json";
  return /^\s*\[|^\s*[\w."-]+\s*=/m.test(text) ? "toml" : "yaml";
}
