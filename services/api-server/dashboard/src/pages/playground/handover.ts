/** A conversation that another page hands over, such as that of a logged request. */

import { askedMessages, type Message, type Part } from "../requests/conversation";
import type { Question } from "./chat";
import { type Parameters, parametersFrom } from "./parameters";

/** Key of the tab's storage. The other page writes it; it is read once, and removed. */
export const HANDOVER = "signalbox.playground.handover";

type Json = Record<string, unknown>;
const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

export interface Handover {
  model: string | undefined;
  parameters: Parameters;
  /** Messages that are sent ahead of the conversation, in the form of Chat Completions. */
  before: unknown[];
  /** The last question, to be sent again or edited. */
  input: Question;
  /** Fields and contents that Chat Completions does not have, and that are left out. */
  left: string[];
}

/** Takes the handover out of the storage. Returns `null` if there is none, or it cannot be read. */
export function takeHandover(storageOf: () => Pick<Storage, "getItem" | "removeItem">): Handover | null {
  try {
    const storage = storageOf();
    const stored = storage.getItem(HANDOVER);
    if (stored === null) return null;
    storage.removeItem(HANDOVER);
    return handoverFrom(JSON.parse(stored));
  } catch {
    // Storage may be forbidden, and may hold anything.
    return null;
  }
}

/** Reads `{messages, model, params}`: the messages of any of the three APIs, and the other fields of the request. */
export function handoverFrom(stored: unknown): Handover | null {
  if (!isJson(stored) || !Array.isArray(stored.messages)) return null;
  const params = isJson(stored.params) ? stored.params : {};
  const { system, instructions, ...fields } = params;
  const { parameters, left } = parametersFrom(fields);
  const messages = askedMessages({
    system: system ?? instructions,
    [areItems(stored.messages) ? "input" : "messages"]: stored.messages,
  });
  const isSystem = ({ role }: Message) => role === "system" || role === "developer";
  const opening = messages.findIndex((message) => !isSystem(message));
  const first = messages.slice(0, opening === -1 ? messages.length : opening);
  parameters.system = first.map((message) => textOf(message.parts)).join("\n\n");
  const rest = messages.slice(first.length);
  const last = rest.at(-1);
  const isQuestion = last?.role === "user" && last.parts.every(({ kind }) => kind === "text" || kind === "media");
  const input: Question = { text: "", images: [] };
  const dropped = new Set(left);
  if (isQuestion) {
    rest.pop();
    input.text = textOf(last.parts);
    input.images = imagesOf(last.parts, dropped);
  }
  const before = joinedCalls(rest.flatMap((message) => chatMessages(message, dropped)));
  const model = typeof stored.model === "string" && stored.model !== "" ? stored.model : undefined;
  return { model, parameters, before, input, left: [...dropped] };
}

/** Returns whether messages are items of Responses. */
function areItems(messages: unknown[]): boolean {
  return messages.some((item) => {
    // Also the form of a prompt with several texts.
    if (!isJson(item)) return typeof item === "string";
    if (typeof item.type === "string") return true;
    const parts = Array.isArray(item.content) ? item.content : [];
    return parts.some((part) => isJson(part) && /^(in|out)put_(text|image|file)$/.test(String(part.type)));
  });
}

type ChatMessage = { role: string; content: unknown; tool_calls?: unknown[]; tool_call_id?: string };

/** Joins calls that follow each other: Responses has an item for each, Chat Completions one message before the results. */
function joinedCalls(messages: ChatMessage[]): ChatMessage[] {
  const joined: ChatMessage[] = [];
  for (const message of messages) {
    const last = joined.at(-1);
    if (last?.tool_calls && message.tool_calls && message.content === null)
      joined[joined.length - 1] = { ...last, tool_calls: [...last.tool_calls, ...message.tool_calls] };
    else joined.push(message);
  }
  return joined;
}

/** Returns a message in the form of Chat Completions: results of tools are messages of their own there. */
function chatMessages({ role, parts }: Message, dropped: Set<string>): ChatMessage[] {
  const messages: ChatMessage[] = [];
  for (const part of parts) {
    if (part.kind === "result") messages.push({ role: "tool", tool_call_id: part.id, content: part.text });
    if (part.kind === "thinking") dropped.add("thinking");
    if (part.kind === "other") dropped.add(part.name);
  }
  const text = textOf(parts);
  const images = imagesOf(parts, dropped).map((url) => ({ type: "image_url", image_url: { url } }));
  const content = images.length === 0 ? text : [...(text === "" ? [] : [{ type: "text", text }]), ...images];
  const calls = parts.flatMap((part) =>
    part.kind === "call"
      ? [{ id: part.id, type: "function", function: { name: part.name, arguments: part.input } }]
      : [],
  );
  if (calls.length > 0) messages.push({ role: "assistant", content: text === "" ? null : text, tool_calls: calls });
  else if (content.length > 0 && role !== "tool") messages.push({ role, content });
  return messages;
}

function textOf(parts: Part[]): string {
  return parts.flatMap((part) => (part.kind === "text" ? [part.text] : [])).join("\n\n");
}

function imagesOf(parts: Part[], dropped: Set<string>): string[] {
  return parts.flatMap((part) => {
    if (part.kind !== "media") return [];
    if (part.media === "image" && /^(data:|https?:)/.test(part.source)) return [part.source];
    dropped.add(part.media);
    return [];
  });
}
