/** A logged conversation, as the playground takes it up. Pure, except for the storage. */

/** Name under which the playground finds it. */
export const HANDOVER = "signalbox.playground.handover";

export interface Handover {
  /** As they were sent, in any of the APIs. */
  messages: unknown[];
  model: string;
  /** The other fields of the body. */
  params: Record<string, unknown>;
}

/** Returns the handover of a body; `null` if it is no conversation. */
export function handoverOf(model: string, body: unknown): Handover | null {
  if (typeof body !== "object" || body === null) return null;
  // Whether an answer is streamed is for the page to choose.
  const {
    messages,
    input,
    prompt,
    model: _,
    stream: __,
    stream_options: ___,
    ...params
  } = body as Record<string, unknown>;
  const asked = messages ?? input ?? prompt;
  if (Array.isArray(asked) && asked.length > 0) return { messages: asked, model, params };
  return typeof asked === "string" ? { messages: [{ role: "user", content: asked }], model, params } : null;
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
