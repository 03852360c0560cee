/** Differences between two texts. Pure: the worker calls it. */

import { diffLines, diffWordsWithSpace } from "diff";

export const UNITS = ["words", "lines"] as const;
export type Unit = (typeof UNITS)[number];

/** Characters of each text that are compared at most. */
export const MAX_COMPARED = 2_000_000;
/** Characters of both texts together from which on lines are compared, and not words. */
const MAX_WORDS = 100_000;
/** Milliseconds that a comparison may take. */
const MAX_TIME = 5_000;

export interface Piece {
  kind: "same" | "removed" | "added";
  text: string;
}

export interface Comparison {
  unit: Unit;
  /** `null` if the texts are too long or too different to be compared. */
  pieces: Piece[] | null;
}

export interface ToCompare {
  before: string;
  after: string;
  /** Chosen by the length of the texts if it is not given. */
  unit?: Unit | undefined;
}

export function compare({ before, after, unit }: ToCompare, timeout: number = MAX_TIME): Comparison {
  const used = unit ?? (before.length + after.length > MAX_WORDS ? "lines" : "words");
  if (before.length > MAX_COMPARED || after.length > MAX_COMPARED) return { unit: used, pieces: null };
  const options = { timeout };
  const changes = used === "words" ? diffWordsWithSpace(before, after, options) : diffLines(before, after, options);
  if (changes !== undefined) return { unit: used, pieces: changes.map(pieceOf) };
  return unit === undefined && used === "words"
    ? compare({ before, after, unit: "lines" }, timeout)
    : { unit: used, pieces: null };
}

function pieceOf({ value, added, removed }: { value: string; added?: boolean; removed?: boolean }): Piece {
  return { kind: added ? "added" : removed ? "removed" : "same", text: value };
}
