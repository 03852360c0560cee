/** Commands for a shell. The overview has them too, without the snippets of all clients. */

export const KEY_PLACEHOLDER = "any";

export const QUESTION = "Is anybody there?";

/** Returns the command that sends a first message. */
export function curl(base: string, model: string, key: string = KEY_PLACEHOLDER): string {
  const body = JSON.stringify({ model, stream: true, messages: [{ role: "user", content: QUESTION }] });
  const header = key === KEY_PLACEHOLDER ? "" : `-H ${shell(`Authorization: Bearer ${key}`)}`;
  return command(shell(`${base}/v1/chat/completions`), header, `-d ${shell(body)}`);
}

/** Returns a command of these parts, which shows an answer as it arrives. Those that are empty are left out. */
export function command(...parts: string[]): string {
  return ["curl -N", ...parts].filter((part) => part !== "").join(" ");
}

/** Quotes a text for a POSIX shell. */
export function shell(text: string): string {
  return /^[A-Za-z0-9_./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
