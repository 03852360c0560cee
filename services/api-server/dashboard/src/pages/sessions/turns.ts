import type { Message } from "../requests/conversation";

/** Returns how many messages at the beginning are those of the request before, and the messages after them. */
export function newMessages(before: Message[], asked: Message[]): { known: number; fresh: Message[] } {
  let known = 0;
  while (
    known < before.length &&
    known < asked.length &&
    JSON.stringify(before[known]) === JSON.stringify(asked[known])
  )
    known++;
  // The same conversation sent again is shown, and not left empty.
  if (known === asked.length) known = Math.max(0, asked.length - 1);
  return { known, fresh: asked.slice(known) };
}
