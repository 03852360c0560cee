/** An answer while it arrives. */

import type { Problem } from "../../api/problem";

export interface Tokens {
  input: number | null;
  output: number | null;
}

export interface Answer {
  model: string;
  /** `queued`: it waits for its turn in this browser, and is not sent yet. */
  state: "queued" | "waiting" | "streaming" | "done" | "stopped" | "failed";
  text: string;
  thinking: string;
  /** Tool calls, with the pieces of their arguments joined. */
  calls: { name: string; input: string }[];
  tokens: Tokens | null;
  finish: string | null;
  startedAt: number;
  /** When the first token arrived. */
  firstAt: number | null;
  endedAt: number | null;
  problem: Problem | null;
  /** Id of the request in the log. */
  logId: string | null;
}

export function waiting(model: string, startedAt: number, state: Answer["state"] = "waiting"): Answer {
  return {
    model,
    state,
    text: "",
    thinking: "",
    calls: [],
    tokens: null,
    finish: null,
    startedAt,
    firstAt: null,
    endedAt: null,
    problem: null,
    logId: null,
  };
}

/** Adds a chunk of a Chat Completions stream. Whatever is not understood is left out. */
export function withChunk(answer: Answer, chunk: unknown, now: number): Answer {
  const { choices, usage } = record(chunk);
  const next: Answer = { ...answer, state: "streaming" };
  const counted = record(usage);
  if (typeof counted.prompt_tokens === "number" || typeof counted.completion_tokens === "number") {
    next.tokens = { input: number(counted.prompt_tokens), output: number(counted.completion_tokens) };
  }
  const choice = record(Array.isArray(choices) ? choices[0] : undefined);
  const delta = record(choice.delta ?? choice.message);
  const text = string(delta.content);
  const thinking = string(delta.reasoning_content) || string(delta.reasoning);
  next.text += text;
  next.thinking += thinking;
  if (Array.isArray(delta.tool_calls)) next.calls = withCalls(answer.calls, delta.tool_calls);
  if (typeof choice.finish_reason === "string") next.finish = choice.finish_reason;
  if (text || thinking || next.calls !== answer.calls) next.firstAt ??= now;
  return next;
}

function withCalls(calls: Answer["calls"], pieces: unknown[]): Answer["calls"] {
  const next = [...calls];
  for (const piece of pieces) {
    const { index, function: called } = record(piece);
    const at = typeof index === "number" && index >= 0 && index <= next.length ? index : next.length;
    const { name, arguments: input } = record(called);
    const old = next[at] ?? { name: "", input: "" };
    next[at] = { name: old.name + string(name), input: old.input + string(input) };
  }
  return next;
}

/** Returns the error that a chunk reports. */
export function errorIn(chunk: unknown): string | null {
  const { error } = record(chunk);
  if (error === undefined || error === null) return null;
  return string(record(error).message) || (typeof error === "string" ? error : "The provider reported an error.");
}

export interface Figures {
  /** Milliseconds so far. */
  duration: number;
  /** Milliseconds until the first token. */
  first: number | null;
  /** Tokens of the answer per second after the first one. */
  speed: number | null;
}

export function figuresOf({ startedAt, firstAt, endedAt, tokens }: Answer, now: number): Figures {
  const end = endedAt ?? now;
  const seconds = firstAt === null ? 0 : (end - firstAt) / 1000;
  const output = tokens?.output ?? null;
  return {
    duration: end - startedAt,
    first: firstAt === null ? null : firstAt - startedAt,
    speed: output !== null && seconds > 0 ? output / seconds : null,
  };
}

/** Least, middle and largest of some numbers. */
export interface Spread {
  least: number;
  median: number;
  most: number;
}

/** Returns the spread of the numbers that are known, or `null` if none is. */
export function spreadOf(values: readonly (number | null)[]): Spread | null {
  const known = values.filter((value) => value !== null).sort((one, other) => one - other);
  if (known.length === 0) return null;
  const middle = (known.length - 1) / 2;
  const median = (known[Math.floor(middle)]! + known[Math.ceil(middle)]!) / 2;
  return { least: known[0]!, median, most: known.at(-1)! };
}

export function isOver({ state }: Answer): boolean {
  return state === "done" || state === "stopped" || state === "failed";
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function string(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function number(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}
