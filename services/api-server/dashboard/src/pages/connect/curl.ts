/** Commands for a shell. The overview has them too, without the snippets of all clients. */

export const KEY_PLACEHOLDER = "any";

export const QUESTION = "Is anybody there?";

/** Returns the command that sends a first message. */
export function curl(base: string, model: string, key: string = KEY_PLACEHOLDER): string {
  const body = JSON.stringify({ model, stream: true, messages: [{ role: "user", content: QUESTION }] });
  const header = key === KEY_PLACEHOLDER ? "" : ` -H ${shell(`Authorization: Bearer ${key}`)}`;
  return `curl -N ${base}/v1/chat/completions${header} -d ${shell(body)}`;
}

/** Quotes a text for a POSIX shell. */
export function shell(text: string): string {
  return /^[A-Za-z0-9_./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
