/** Finding in the messages of a conversation, ignoring case. Pure. */

import type { Message, Part } from "./conversation";

/** Places that are marked in one text at most. */
const MAX_MARKS = 500;

export function hasText(text: string, wanted: string | undefined): boolean {
  return wanted !== undefined && wanted !== "" && text.toLowerCase().includes(wanted.toLowerCase());
}

/** Returns the messages that have a text, with their places in the conversation. */
export function messagesWith(messages: readonly Message[], wanted: string): { at: number; message: Message }[] {
  return messages.flatMap((message, at) =>
    message.parts.some((part) => textsOf(part).some((text) => hasText(text, wanted))) ? [{ at, message }] : [],
  );
}

function textsOf(part: Part): string[] {
  switch (part.kind) {
    case "text":
    case "thinking":
      return [part.text];
    case "call":
      return [part.name, part.input];
    case "result":
      return [part.text, ...part.media.flatMap(textsOf)];
    case "other":
      return [part.name, part.json];
    case "media":
      return [];
  }
}

/** Splits a text at each place where another one stands; those are the odd pieces. */
export function splitAt(text: string, wanted: string): string[] {
  const [low, needle] = [text.toLowerCase(), wanted.toLowerCase()];
  // Some characters have another length in lower case, so that places would not fit.
  if (needle === "" || low.length !== text.length) return [text];
  const pieces: string[] = [];
  let end = 0;
  for (let at = low.indexOf(needle); at !== -1 && pieces.length < 2 * MAX_MARKS; at = low.indexOf(needle, end)) {
    pieces.push(text.slice(end, at), text.slice(at, at + needle.length));
    end = at + needle.length;
  }
  return [...pieces, text.slice(end)];
}

/** Returns where an excerpt of so many characters begins that has the first place of a text. */
export function excerptBegin(text: string, wanted: string, length: number): number {
  const at = text.toLowerCase().indexOf(wanted.toLowerCase());
  if (at < length - wanted.length) return 0;
  return Math.max(0, at - Math.floor(length / 4));
}
