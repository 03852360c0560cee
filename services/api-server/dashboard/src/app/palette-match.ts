/** What the palette finds, and in which order. Pure. */

/** Returns whether a name has all the typed words in it, in any order. */
export function matches(name: string, typed: string): boolean {
  const lower = name.toLowerCase();
  return typed
    .toLowerCase()
    .split(/\s+/)
    .every((word) => lower.includes(word));
}

/** An entry by which it is known after the palette was closed. */
interface Named {
  label: string;
  kind: string;
}

const nameOf = ({ label, kind }: Named) => `${kind}: ${label}`;

/** Choices that are kept. */
const MAX_RECENT = 6;

/** Returns the recent choices with a new one in front. */
export function withRecent(recent: readonly string[], chosen: Named): string[] {
  const name = nameOf(chosen);
  return [name, ...recent.filter((one) => one !== name)].slice(0, MAX_RECENT);
}

/** Returns the entries that match; those that were chosen lately are the first. */
export function ranked<Entry extends Named>(
  entries: readonly Entry[],
  typed: string,
  recent: readonly string[],
): { entry: Entry; isRecent: boolean }[] {
  const found = entries.filter((entry) => matches(`${entry.label} ${entry.kind}`, typed));
  const rank = (entry: Entry) => {
    const at = recent.indexOf(nameOf(entry));
    return at === -1 ? recent.length : at;
  };
  return found
    .map((entry) => ({ entry, isRecent: recent.includes(nameOf(entry)) }))
    .sort((one, other) => rank(one.entry) - rank(other.entry));
}

const KEY = "signalbox.palette";

/** Returns the recent choices of this browser. Commands with ids of requests are not among them. */
export function storedRecent(): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(stored) ? stored.filter((one) => typeof one === "string").slice(0, MAX_RECENT) : [];
  } catch {
    // Storage may be forbidden, or was written by something else.
    return [];
  }
}

export function storeRecent(recent: readonly string[]): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(recent));
  } catch {
    // Known until the page is closed.
  }
}
