/** What is sent when a request is repeated, from the input of the page. Pure. */

import type { ReplayCommand } from "../../../api/request";

/** Most replays that one command may ask for. */
export const MAX_TIMES = 20;
/** Characters of a body that can be edited as a whole. Of a longer one, single fields can be replaced. */
export const MAX_EDITED = 300_000;

export interface ReplayInput {
  /** Empty: as routed. */
  provider: string;
  /** Empty: that of the original. */
  model: string;
  times: string;
  /** The body without its model; if it is too long to be edited, only the fields that replace those of the original. */
  body: string;
}

export type Body = Record<string, unknown>;

export interface Plan {
  command: ReplayCommand;
  /** What is wrong with each field of the input. */
  mistakes: Partial<Record<keyof ReplayInput, string[]>>;
}

/** Returns a body as it is edited. */
export function editable(text: string): { body: Body; edited: string; isWhole: boolean } | null {
  const body = objectIn(text);
  if (body === null || typeof body === "string") return null;
  const isWhole = text.length <= MAX_EDITED;
  return { body, edited: isWhole ? JSON.stringify(withoutModel(body), null, 2) : "{}", isWhole };
}

export function planOf(input: ReplayInput, body: Body, isWhole: boolean): Plan {
  const mistakes: Plan["mistakes"] = {};
  const command: ReplayCommand = {};
  if (input.provider !== "") command.provider = input.provider;
  if (input.model.trim() !== "" && input.model.trim() !== body.model) command.model = input.model.trim();
  const times = Number(input.times);
  if (!Number.isInteger(times) || times < 1 || times > MAX_TIMES)
    mistakes.times = [`It must be a whole number from 1 to ${MAX_TIMES}`];
  else if (times > 1) command.times = times;
  const edited = objectIn(input.body);
  if (typeof edited === "string") mistakes.body = [edited];
  else if (edited === null) mistakes.body = ['It must be a JSON object, such as {"temperature": 0}'];
  else if ("model" in edited) mistakes.body = ["Choose the model in its own field"];
  else {
    const changes = isWhole ? changesOf(withoutModel(body), edited) : edited;
    if (Object.keys(changes).length > 0) command.changes = changes;
  }
  return { command, mistakes };
}

/** Returns the fields that differ, with their new values; `null` for those that were removed. */
export function changesOf(before: Body, after: Body): Body {
  const changes: Body = {};
  for (const [name, value] of Object.entries(after))
    if (!(name in before) || !isSame(before[name], value)) changes[name] = value;
  for (const name of Object.keys(before)) if (!(name in after)) changes[name] = null;
  return changes;
}

/** Returns whether two JSON values are the same, whatever the order of their fields is. */
export function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(ordered(a)) === JSON.stringify(ordered(b));
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).map(([name, inner]) => [name, ordered(inner)] as const);
  return Object.fromEntries(fields.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function withoutModel({ model: _, ...rest }: Body): Body {
  return rest;
}

/** Returns the object in a text, `null` if it is another value, or what is wrong with it. */
function objectIn(text: string): Body | string | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Body) : null;
  } catch (error) {
    return `It must be JSON: ${error instanceof Error ? error.message : "it cannot be read"}`;
  }
}

/** Returns what a replay may cost, in words, from what the original has cost. */
export function costWords(
  nanos: number | null | undefined,
  { times, isElsewhere }: { times: number; isElsewhere: boolean },
  dollars: (amount: number) => string,
): string {
  if (nanos == null) return "What it costs is not known: the original has no price.";
  const each = dollars(nanos / 1e9);
  if (isElsewhere) {
    const all = times > 1 ? `, and it is sent ${times} times` : "";
    return `The original has cost ${each}; another provider or model may cost more or less${all}.`;
  }
  return times > 1
    ? `It may cost about ${dollars((nanos * times) / 1e9)}: ${times} times the ${each} of the original.`
    : `It may cost about ${each}, as the original did.`;
}
