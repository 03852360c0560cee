/** A text that is read part by part: its lines, what is found in it, and the conversation that it is. */

import { answeredMessages, askedMessages, type Message, offeredTools, type Tool } from "../pages/requests/conversation";
import { findLines, type Lines, linesOf } from "./lines";

/** Bytes of a text that are read at most; larger ones can be saved only. */
export const MAX_BYTES = 20_000_000;

/** A text, or the address that it is fetched from. */
export type Source = { text: string } | { url: string };

/** What is known of a text once it was opened. */
export interface Opened {
  bytes: number;
  /** Whether it is longer than is read. */
  isTooLarge: boolean;
  /** Whether the server says that it is the body that the client had sent. */
  isAsAsked: boolean;
}

/** The answer of a server that refuses to give the text. */
export interface Refusal {
  status: number;
  body: string;
  requestId: string | undefined;
}

export interface Conversation {
  messages: Message[];
  tools: Tool[];
  /** Fields of the body other than its messages and tools, if it is a JSON object. */
  fields: Record<string, unknown>;
}

/** Fields that the messages and tools come from. */
const SHOWN_ELSEWHERE = new Set([
  "messages",
  "input",
  "prompt",
  "system",
  "instructions",
  "tools",
  "choices",
  "output",
  "content",
]);

/** Thrown if the server does not give the text. */
export class Refused extends Error {
  constructor(readonly refusal: Refusal) {
    super(`The server answered with status ${refusal.status}.`);
  }
}

/** What can be asked of a reader. */
export interface Calls {
  open: { input: Source; output: Opened };
  lines: { input: boolean; output: Lines };
  find: { input: { pretty: boolean; wanted: string }; output: number[] };
  text: { input: undefined; output: string };
  conversation: { input: "asked" | "answered"; output: Conversation };
}

export class Reader {
  #text = "";
  readonly #lines = new Map<boolean, Lines>();

  async open(source: Source): Promise<Opened> {
    this.#lines.clear();
    if ("text" in source) {
      this.#text = source.text;
      return { bytes: byteLength(source.text), isTooLarge: false, isAsAsked: false };
    }
    const response = await fetch(source.url);
    const { headers } = response;
    if (!response.ok) {
      const requestId = headers.get("x-request-id") ?? undefined;
      throw new Refused({ status: response.status, body: await response.text(), requestId });
    }
    const isAsAsked = headers.get("x-signalbox-as-asked") === "true";
    const announced = Number(headers.get("content-length") ?? 0);
    if (announced > MAX_BYTES) {
      await response.body?.cancel();
      return { bytes: announced, isTooLarge: true, isAsAsked };
    }
    const bytes = await response.arrayBuffer();
    const isTooLarge = bytes.byteLength > MAX_BYTES;
    if (!isTooLarge) this.#text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    return { bytes: bytes.byteLength, isTooLarge, isAsAsked };
  }

  lines(pretty: boolean): Lines {
    const known = this.#lines.get(pretty) ?? linesOf(this.#text, pretty);
    this.#lines.set(pretty, known);
    return known;
  }

  find({ pretty, wanted }: Calls["find"]["input"]): number[] {
    return findLines(this.lines(pretty), wanted);
  }

  text(): string {
    return this.#text;
  }

  conversation(kind: Calls["conversation"]["input"]): Conversation {
    const body = parsed(this.#text);
    const messages = kind === "asked" ? askedMessages(body) : answeredMessages(body);
    return { messages, tools: kind === "asked" ? offeredTools(body) : [], fields: otherFields(body) };
  }
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function otherFields(body: unknown): Record<string, unknown> {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return {};
  return Object.fromEntries(Object.entries(body).filter(([name]) => !SHOWN_ELSEWHERE.has(name)));
}
