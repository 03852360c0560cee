/** A conversation with one or two models, and the requests that continue it. */

import type { Answer } from "./answer";

export const SIDES = ["a", "b"] as const;
export type Side = (typeof SIDES)[number];

export interface Turn {
  id: number;
  text: string;
  /** Data URLs. */
  images: string[];
  answers: Partial<Record<Side, Answer>>;
}

export interface Parameters {
  system: string;
  temperature: string;
  topP: string;
  maxTokens: string;
  /** Further fields of the request, as a JSON object. */
  more: string;
}

export const NO_PARAMETERS: Parameters = { system: "", temperature: "", topP: "", maxTokens: "", more: "" };

/** Fields that the page sets itself. */
const OWN = ["model", "messages", "stream", "stream_options"];

export type Fields = { fields: Record<string, unknown>; mistakes: Map<keyof Parameters, string> };

/** Returns the fields to send. Those that are empty are not sent. */
export function fieldsOf(given: Parameters): Fields {
  const mistakes: Fields["mistakes"] = new Map();
  const fields: Record<string, unknown> = {};
  for (const [name, field] of [
    ["temperature", "temperature"],
    ["topP", "top_p"],
    ["maxTokens", "max_tokens"],
  ] as const) {
    const typed = given[name].trim();
    if (typed === "") continue;
    const value = Number(typed);
    if (Number.isFinite(value)) fields[field] = value;
    else mistakes.set(name, `${field} must be a number`);
  }
  const more = objectOf(given.more);
  if (typeof more === "string") mistakes.set("more", more);
  else {
    const own = OWN.filter((name) => name in more);
    if (own.length > 0) mistakes.set("more", `${own.join(", ")} cannot be set here; the page sets it`);
    Object.assign(fields, more);
  }
  return { fields, mistakes };
}

/** Returns the object in a text, or what is wrong with it. */
function objectOf(typed: string): Record<string, unknown> | string {
  if (typed.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(typed);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    return 'It must be a JSON object, such as {"seed": 1}';
  } catch (error) {
    return `It must be JSON: ${error instanceof Error ? error.message : "it cannot be read"}`;
  }
}

/** Returns the body that asks a model for the last turn. Earlier turns that it did not answer are left out. */
export function bodyFor(
  model: string,
  turns: readonly Turn[],
  side: Side,
  system: string,
  fields: Record<string, unknown>,
): Record<string, unknown> {
  const messages: unknown[] = system.trim() === "" ? [] : [{ role: "system", content: system }];
  for (const [at, turn] of turns.entries()) {
    const answered = turn.answers[side]?.text;
    const isLast = at === turns.length - 1;
    if (!isLast && !answered) continue;
    messages.push({ role: "user", content: contentOf(turn) });
    if (!isLast) messages.push({ role: "assistant", content: answered });
  }
  return { ...fields, model, messages, stream: true, stream_options: { include_usage: true } };
}

function contentOf({ text, images }: Turn): unknown {
  if (images.length === 0) return text;
  return [
    ...(text === "" ? [] : [{ type: "text", text }]),
    ...images.map((url) => ({ type: "image_url", image_url: { url } })),
  ];
}
