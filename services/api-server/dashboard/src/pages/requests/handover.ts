/** A logged conversation, as the playground continues it. Pure, except for the storage. */

import type { Message, Part } from "./conversation";

/** Name under which the playground finds it. */
export const HANDOVER = "signalbox.playground.handover";

export interface Handover {
  /** In the format of Chat Completions. */
  messages: Record<string, unknown>[];
  model: string;
  /** Further fields of the body that Chat Completions has. */
  params: Record<string, unknown>;
}

/** Fields of Chat Completions that the playground takes over. */
const PARAMS = [
  "temperature",
  "top_p",
  "max_tokens",
  "max_completion_tokens",
  "stop",
  "seed",
  "presence_penalty",
  "frequency_penalty",
  "response_format",
  "tools",
  "tool_choice",
  "reasoning_effort",
];

/** Returns the handover of a body; `null` if it is no conversation. */
export function handoverOf(path: string, model: string, body: unknown, messages: readonly Message[]): Handover | null {
  if (messages.length === 0) return null;
  const fields = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const isChat = path.startsWith("/v1/chat/");
  const taken = isChat ? PARAMS : PARAMS.filter((name) => !["tools", "tool_choice", "stop"].includes(name));
  const params = Object.fromEntries(
    taken.filter((name) => fields[name] !== undefined).map((name) => [name, fields[name]]),
  );
  const limit = fields.max_output_tokens;
  if (!isChat && typeof limit === "number") params.max_tokens = limit;
  const own = isChat && Array.isArray(fields.messages) ? fields.messages : messages.flatMap(chatMessages);
  return { messages: own as Handover["messages"], model, params };
}

/** Translates a message of any API. */
function chatMessages({ role, parts }: Message): Record<string, unknown>[] {
  const results = parts.filter((part) => part.kind === "result");
  const calls = parts.filter((part) => part.kind === "call");
  const content = parts.flatMap(contentOf);
  const messages: Record<string, unknown>[] = results.map(({ id, text }) => ({
    role: "tool",
    tool_call_id: id,
    content: text,
  }));
  if (content.length === 0 && calls.length === 0) return messages;
  const only = content[0];
  const isText = content.length === 1 && only?.type === "text";
  messages.push({
    role,
    content: content.length === 0 ? null : isText ? only.text : content,
    ...(calls.length > 0 && {
      tool_calls: calls.map(({ id, name, input }) => ({ id, type: "function", function: { name, arguments: input } })),
    }),
  });
  return messages;
}

function contentOf(part: Part): { type: string; text?: string; image_url?: { url: string } }[] {
  if (part.kind === "text") return [{ type: "text", text: part.text }];
  if (part.kind === "media" && part.media === "image") return [{ type: "image_url", image_url: { url: part.source } }];
  return [];
}

/** Keeps a handover for the playground. Returns whether there was room for it. */
export function keepHandover(handover: Handover): boolean {
  try {
    sessionStorage.setItem(HANDOVER, JSON.stringify(handover));
    return true;
  } catch {
    return false;
  }
}
