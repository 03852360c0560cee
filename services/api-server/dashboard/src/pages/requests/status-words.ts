/** States of a request in words. */

const WORDS: Record<string, string> = { client_disconnected: "client left" };

/** Returns the words for a status. */
export function statusWords(status: string): string {
  return WORDS[status] ?? status;
}
