/** The plan of a configuration that is to be applied. Pure. */

export interface Plan {
  created: string[];
  updated: { path: string; what: string[] }[];
  deleted: string[];
  unchanged: string[];
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
