/** Ids of the requests that this browser has sent: without client keys, the log cannot tell them from those of clients. */

const KEY = "signalbox.console.sent";
/** Maximum ids that are kept, the newest last. */
const MAX = 100;

/** Reads stored ids; whatever is not understood is left out. */
export function parseSent(stored: string | null): string[] {
  try {
    const value: unknown = JSON.parse(stored ?? "[]");
    return Array.isArray(value) ? value.filter((id) => typeof id === "string") : [];
  } catch {
    return [];
  }
}

export function sentIds(): string[] {
  try {
    return parseSent(localStorage.getItem(KEY));
  } catch {
    // Storage may be forbidden.
    return [];
  }
}

export function rememberSent(id: string): void {
  try {
    localStorage.setItem(KEY, JSON.stringify([...sentIds(), id].slice(-MAX)));
  } catch {
    // Then the request counts as one of a client.
  }
}
