/** Keys that move between rows. Pure. */

/** Returns the row to go to, from the present one, the rows of a page, and the first and the last row. */
type Move = (at: number, page: number, first: number, last: number) => number;

const MOVES: Record<string, Move> = {
  ArrowDown: (at) => at + 1,
  ArrowUp: (at) => at - 1,
  PageDown: (at, page) => at + page,
  PageUp: (at, page) => at - page,
  Home: (_, __, first) => first,
  End: (_, __, ___, last) => last,
};

/** Returns how a key moves; `null` if it does not. */
export function keyMove(key: string): Move | null {
  return Object.hasOwn(MOVES, key) ? MOVES[key]! : null;
}
