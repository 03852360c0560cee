/** A conversation with one or two models, and the requests that continue it. Pure. */

import type { Answer } from "./answer";

export const SIDES = ["a", "b"] as const;
export type Side = (typeof SIDES)[number];

export interface Question {
  text: string;
  /** Data URLs. */
  images: string[];
  /** Images that a reload of the page has dropped. */
  lost?: number;
}

/** What a request has besides its messages. */
export interface Settings {
  system: string;
  fields: Record<string, unknown>;
}

export interface Turn {
  id: number;
  /** The question to each model that was asked. */
  asked: Partial<Record<Side, Question>>;
  /** The answers of each model: several if it was asked several times at once. */
  answers: Partial<Record<Side, Answer[]>>;
  /** Which of the answers is shown, and continues the conversation. */
  shown: Partial<Record<Side, number>>;
  settings: Settings;
}

/** Maximum turns of a conversation. */
export const MAX_TURNS = 100;
/** Maximum characters of a conversation, its images included: a request may have 32 MiB. */
export const MAX_CHARACTERS = 24 << 20;

/** Returns the answer of a model that is shown, and continues the conversation. */
export function shownAnswer(turn: Turn, side: Side): Answer | undefined {
  return turn.answers[side]?.[turn.shown[side] ?? 0];
}

/** Returns whether both models were asked the same, or only one was asked. */
export function isShared({ asked: { a, b } }: Turn): boolean {
  return a === undefined || b === undefined || (a.text === b.text && a.images.join() === b.images.join());
}

/** Returns the body that asks a model for the last turn. Earlier turns that it did not answer are left out. */
export function bodyFor(model: string, before: readonly unknown[], turns: readonly Turn[], side: Side) {
  const { system, fields } = turns.at(-1)?.settings ?? { system: "", fields: {} };
  const messages: unknown[] = system.trim() === "" ? [] : [{ role: "system", content: system }];
  messages.push(...before);
  for (const [at, turn] of turns.entries()) {
    const question = turn.asked[side];
    const answered = shownAnswer(turn, side)?.text;
    const isLast = at === turns.length - 1;
    if (question === undefined || (!isLast && !answered)) continue;
    messages.push({ role: "user", content: contentOf(question) });
    if (!isLast) messages.push({ role: "assistant", content: answered });
  }
  return { ...fields, model, messages, stream: true, stream_options: { include_usage: true } };
}

function contentOf({ text, images }: Question): unknown {
  if (images.length === 0) return text;
  return [
    ...(text === "" ? [] : [{ type: "text", text }]),
    ...images.map((url) => ({ type: "image_url", image_url: { url } })),
  ];
}

/** Returns why nothing more can be added to a conversation. */
export function fullBecause(before: readonly unknown[], turns: readonly Turn[]): string | undefined {
  if (turns.length >= MAX_TURNS) return `The conversation has ${MAX_TURNS} messages; clear it to go on`;
  const size = before.length === 0 ? 0 : JSON.stringify(before).length;
  return size + turns.reduce((sum, turn) => sum + sizeOf(turn), 0) > MAX_CHARACTERS
    ? "The conversation is too large for a request; clear it to go on"
    : undefined;
}

function sizeOf(turn: Turn): number {
  return SIDES.reduce((sum, side) => {
    const { text = "", images = [] } = turn.asked[side] ?? {};
    const answer = shownAnswer(turn, side)?.text ?? "";
    return sum + text.length + answer.length + images.reduce((all, url) => all + url.length, 0);
  }, 0);
}
