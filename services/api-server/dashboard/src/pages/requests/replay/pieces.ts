/** The pieces of a comparison, as they are shown. Pure. */

import { percent, plural } from "../../../format/numbers";
import type { Piece, Unit } from "../../../workers/diff";

/** Pieces that are drawn at once. */
export const MAX_PIECES = 2_000;
/** Characters of a common piece from which on its middle is left out. */
const FOLD_AT = 3_000;
/** Characters that stay at each end of it. */
const KEPT = 1_000;

/** Leaves out the middle of long pieces that both texts have. */
export function foldedPieces(pieces: readonly Piece[]): Piece[] {
  return pieces.map((piece) => {
    const { kind, text } = piece;
    if (kind !== "same" || text.length <= FOLD_AT) return piece;
    const left = text.length - 2 * KEPT;
    return {
      kind,
      text: `${text.slice(0, KEPT)}\n… ${plural(left, "character")} that both have …\n${text.slice(-KEPT)}`,
    };
  });
}

/** Returns how alike two texts are, in words. */
export function summaryOf(pieces: readonly Piece[], unit: Unit): string {
  const length = (wanted: Piece["kind"]) =>
    pieces.reduce((sum, { kind, text }) => (kind === wanted ? sum + text.length : sum), 0);
  const [same, removed, added] = [length("same"), length("removed"), length("added")];
  if (removed === 0 && added === 0) return "The same text";
  const all = 2 * same + removed + added;
  return `${percent(Math.floor((2 * same * 1000) / all) / 10)} in common, by ${unit}`;
}
