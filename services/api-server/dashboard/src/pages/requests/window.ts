/** The part of a long list that is in memory: pages in a row, with the number of rows before them. Pure. */

import type { Anchor, RequestRow, RowPage } from "../../api/request-list";

export interface Loaded {
  /** Number of rows before the first one. */
  first: number;
  rows: RequestRow[];
}

/** Returns the rows of the pages. */
export function loadedOf(pages: RowPage[]): Loaded {
  return { first: pages[0]?.at ?? 0, rows: pages.flatMap(({ requests }) => requests) };
}

interface Visible {
  /** Numbers of the first and the last visible row. */
  start: number;
  end: number;
}

/** Rows before an end of what is loaded at which more are asked for. */
const AHEAD = 12;

/** What has to be loaded for the visible rows. */
export type Need = "next" | "previous" | "elsewhere" | null;

/** Returns what is missing: the pages after or before, or those of another part of the list. */
export function needOf({ first, rows }: Loaded, { start, end }: Visible, more: boolean): Need {
  const after = first + rows.length;
  if (end < first - 2 * AHEAD) return "elsewhere";
  if (start < first + AHEAD && first > 0) return "previous";
  return more && end >= after - AHEAD ? "next" : null;
}

/** Returns the place from which rows are read, so that this row is among the first ones. */
export function anchorFor(row: number, known: ReadonlyMap<number, string>): Anchor {
  let best: Anchor = { at: 0 };
  for (const [at, cursor] of known) if (at <= row && at > best.at) best = { at, cursor };
  return best;
}

/** Adds the cursors of loaded pages to the known ones, by the number of the row that each leads to. */
export function learn(known: Map<number, string>, pages: RowPage[]): void {
  for (const { at, requests, next_cursor } of pages) if (next_cursor) known.set(at + requests.length, next_cursor);
}

/** Returns the pages that have visible rows. */
export function pagesWithin(pages: RowPage[], { start, end }: Visible): RowPage[] {
  let at = pages[0]?.at ?? 0;
  return pages.filter(({ requests }) => {
    const first = at;
    at += requests.length;
    return requests.length > 0 && first <= end && at > start;
  });
}
