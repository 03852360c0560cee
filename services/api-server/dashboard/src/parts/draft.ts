/** Input that survives a reload of the page. Kept in the tab until it is saved or discarded; never with secrets. */

import { useCallback, useEffect, useState } from "react";

const PREFIX = "signalbox.draft.";

interface Kept<T> {
  draft: T;
  /** Version of the thing that is edited. */
  version: string;
}

/** Returns a stored draft, if it has the shape of `like`. */
export function readDraft<T extends object>(name: string, like: T): Kept<T> | null {
  try {
    const stored = JSON.parse(sessionStorage.getItem(PREFIX + name) ?? "null") as Partial<Kept<unknown>> | null;
    const { draft, version = "" } = stored ?? {};
    return isLike(draft, like) ? { draft, version: String(version) } : null;
  } catch {
    // Storage may be forbidden, or was written by another version.
    return null;
  }
}

/** Stores a draft; `null` removes it. */
export function writeDraft(name: string, draft: object | null, version = ""): void {
  try {
    if (draft === null) sessionStorage.removeItem(PREFIX + name);
    else sessionStorage.setItem(PREFIX + name, JSON.stringify({ draft, version }));
  } catch {
    // It is kept until the page is closed.
  }
}

function isLike<T extends object>(stored: unknown, like: T): stored is T {
  if (typeof stored !== "object" || stored === null || Array.isArray(stored) !== Array.isArray(like)) return false;
  return Object.entries(like).every(([key, value]) => {
    const kept = (stored as Record<string, unknown>)[key];
    return value === null || kept === null || typeof kept === typeof value;
  });
}

/** What became of the input of an earlier page. */
export type Restoring = "none" | "restored" | "outdated";

interface Draft<T> {
  draft: T;
  setDraft: (change: T | ((old: T) => T)) => void;
  /** Whether it was found when the page was opened, and whether the thing has another version since. */
  restoring: Restoring;
  /** Goes back to the beginning, and removes what is stored. */
  discard: () => void;
}

interface DraftOptions<T> {
  name: string;
  initial: T;
  version?: string;
  /** Returns what may be stored: without secrets, and `null` for input that is as it was in the beginning. */
  kept: (draft: T) => T | null;
}

/** Keeps the input of a form over a reload of the page. */
export function useDraft<T extends object>({ name, initial, version = "", kept }: DraftOptions<T>): Draft<T> {
  const [found, setFound] = useState(() => readDraft(name, initial));
  const [draft, setDraft] = useState<T>(found?.draft ?? initial);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `kept` is a function of the form
  useEffect(() => writeDraft(name, kept(draft), found?.version ?? version), [name, draft, version, found]);
  const discard = useCallback(() => {
    writeDraft(name, null);
    setFound(null);
    setDraft(initial);
  }, [name, initial]);
  const restoring = found === null ? "none" : found.version === version ? "restored" : "outdated";
  return { draft, setDraft, restoring, discard };
}
