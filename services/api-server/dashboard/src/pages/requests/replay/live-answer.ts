/** An answer while it arrives, in any of the APIs that the router speaks. Pure. */

import { answeredMessages, type Message } from "../conversation";

export interface Call {
  name: string;
  input: string;
}

export interface LiveAnswer {
  text: string;
  thinking: string;
  calls: Call[];
}

export const NOTHING: LiveAnswer = { text: "", thinking: "", calls: [] };

type Json = Record<string, unknown>;

/** Adds an event of a stream. Whatever is not understood is left out. */
export function withEvent(answer: LiveAnswer, event: unknown): LiveAnswer {
  const { type, choices } = record(event);
  if (Array.isArray(choices)) return withChoice(answer, record(choices[0]));
  return typeof type === "string" ? withTyped(answer, type, record(event)) : answer;
}

/** A choice of Chat Completions or Completions. */
function withChoice(answer: LiveAnswer, choice: Json): LiveAnswer {
  const delta = record(choice.delta ?? choice.message);
  const next = {
    ...answer,
    text: answer.text + (string(delta.content) || string(choice.text)),
    thinking: answer.thinking + (string(delta.reasoning_content) || string(delta.reasoning)),
  };
  if (!Array.isArray(delta.tool_calls)) return next;
  return delta.tool_calls.map(record).reduce<LiveAnswer>((sum, piece) => {
    const { name, arguments: input } = record(piece.function);
    return withCall(sum, numberOf(piece.index, sum.calls.length), string(name), string(input));
  }, next);
}

/** An event of Messages or Responses. */
function withTyped(answer: LiveAnswer, type: string, event: Json): LiveAnswer {
  const delta = record(event.delta);
  const last = answer.calls.length - 1;
  switch (type) {
    case "content_block_start": {
      const block = record(event.content_block);
      return block.type === "tool_use" ? withCall(answer, last + 1, string(block.name), "") : answer;
    }
    case "content_block_delta":
      if (delta.type === "input_json_delta") return withCall(answer, last, "", string(delta.partial_json));
      return {
        ...answer,
        text: answer.text + string(delta.text),
        thinking: answer.thinking + string(delta.thinking),
      };
    case "response.output_text.delta":
      return { ...answer, text: answer.text + string(event.delta) };
    case "response.reasoning_text.delta":
    case "response.reasoning_summary_text.delta":
      return { ...answer, thinking: answer.thinking + string(event.delta) };
    case "response.output_item.added": {
      const item = record(event.item);
      return item.type === "function_call" ? withCall(answer, last + 1, string(item.name), "") : answer;
    }
    case "response.function_call_arguments.delta":
      return withCall(answer, last, "", string(event.delta));
    default:
      return answer;
  }
}

function withCall(answer: LiveAnswer, at: number, name: string, input: string): LiveAnswer {
  if (at < 0 || at > answer.calls.length) return answer;
  const calls = [...answer.calls];
  const old = calls[at] ?? { name: "", input: "" };
  calls[at] = { name: old.name + name, input: old.input + input };
  return { ...answer, calls };
}

/** Returns the answer in a body that came in one piece. */
export function wholeAnswer(body: unknown): LiveAnswer {
  return answerOf(answeredMessages(body));
}

/** Joins the messages of an answer. */
export function answerOf(messages: readonly Message[]): LiveAnswer {
  const parts = messages.flatMap((message) => message.parts);
  const joined = (kind: "text" | "thinking") =>
    parts.flatMap((part) => (part.kind === kind ? [part.text] : [])).join("\n\n");
  return {
    text: joined("text"),
    thinking: joined("thinking"),
    calls: parts.flatMap((part) => (part.kind === "call" ? [{ name: part.name, input: part.input }] : [])),
  };
}

/** Returns the error that an event reports. */
export function errorIn(event: unknown): string | null {
  const { error, response } = record(event);
  const reported = error ?? record(response).error;
  if (reported === undefined || reported === null) return null;
  return string(record(reported).message) || string(reported) || "The provider reported an error.";
}

export function isNothing({ text, thinking, calls }: LiveAnswer): boolean {
  return text === "" && thinking === "" && calls.length === 0;
}

function record(value: unknown): Json {
  return typeof value === "object" && value !== null ? (value as Json) : {};
}

function string(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function numberOf(value: unknown, otherwise: number): number {
  return typeof value === "number" ? value : otherwise;
}
