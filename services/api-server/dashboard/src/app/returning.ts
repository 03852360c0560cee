/** Going back from a page to the list that it was opened from: the same place, and the focus on the same row. */

import type { AnyRouter } from "@tanstack/react-router";
import { create } from "zustand";

/** A list as it was left for one of the pages below it. */
export interface Place {
  path: string;
  /** Its filters, as they are in the address. */
  search: string;
  /** Its position in the history of the tab. */
  at: number;
  scroll: number;
  /** Address of the row that had the focus. */
  row: string | null;
}

/** An address of the history. */
interface Address {
  pathname: string;
  searchStr: string;
  state: { __TSR_index: number };
}

/** Milliseconds after which a place is given up: its row may be gone. */
const GIVEN_UP_AFTER = 5_000;
/** Frames for which a place has to stay: rows that arrive late may take the focus away once more. */
const STEADY_FRAMES = 10;
/** Events with which the user goes somewhere else. */
const TAKEN_BY = ["keydown", "pointerdown", "wheel"] as const;

/** The place that a list is on its way to; `null` once it is there. */
export const useReturning = create<{ place: Place | null }>(() => ({ place: null }));

let left: Place | null = null;

function isBelow(path: string, list: string): boolean {
  return path.startsWith(`${list}/`);
}

/** Returns the list that is left, and the place to return to, after a step from one address to another. */
export function moved(
  left: Place | null,
  from: Address,
  to: Address,
  now: () => Pick<Place, "scroll" | "row">,
): { left: Place | null; place: Place | null } {
  if (isBelow(to.pathname, from.pathname)) {
    const { pathname: path, searchStr: search, state } = from;
    return { left: { path, search, at: state.__TSR_index, ...now() }, place: null };
  }
  if (left === null || !isBelow(from.pathname, left.path)) return { left: null, place: null };
  if (to.pathname !== left.path) return { left: isBelow(to.pathname, left.path) ? left : null, place: null };
  // A link to the list alone means the list as it was, and the list then adds its filters to the address.
  return { left, place: to.searchStr === "" || to.searchStr === left.search ? left : null };
}

/** Goes back to the list of the page, as it was left. Returns whether the page has one. */
export function backToList(router: AnyRouter): boolean {
  const link = document.querySelector<HTMLAnchorElement>("#main a[data-back]");
  if (!link || document.querySelector("dialog[open]")) return false;
  if (left && link.pathname.endsWith(left.path)) router.history.go(left.at - router.history.location.state.__TSR_index);
  else link.click();
  return true;
}

const main = () => document.getElementById("main");

/** Follows the lists that are left and returned to. Returns how that ends. */
export function watchReturns(router: AnyRouter): () => void {
  const offLeave = router.subscribe("onBeforeLoad", ({ fromLocation: from, toLocation: to }) => {
    if (!from || from.pathname === to.pathname) return;
    const step = moved(left, from, to, () => ({
      scroll: main()?.scrollTop ?? 0,
      row: document.activeElement?.closest("[data-row]")?.getAttribute("href") ?? null,
    }));
    left = step.left;
    useReturning.setState({ place: step.place });
  });
  // The router scrolls a page that was gone to to its top before that.
  const offArrive = router.subscribe("onRendered", () => {
    const { place } = useReturning.getState();
    if (place !== null) restore(place);
  });
  return () => {
    offLeave();
    offArrive();
  };
}

let ending: (() => void) | null = null;

/** Goes to a place. Its rows are rendered some frames later, and until then the focus has nowhere to go. */
function restore({ scroll, row }: Place): void {
  ending?.();
  const until = performance.now() + GIVEN_UP_AFTER;
  let frame = 0;
  let steady = 0;
  const stop = () => {
    cancelAnimationFrame(frame);
    for (const name of TAKEN_BY) removeEventListener(name, end);
    ending = null;
  };
  const end = () => {
    stop();
    useReturning.setState({ place: null });
  };
  const look = () => {
    main()?.scrollTo(0, scroll);
    const link = row && document.querySelector<HTMLElement>(`#main [data-row][href="${CSS.escape(row)}"]`);
    const isThere = Math.abs((main()?.scrollTop ?? 0) - scroll) < 1 && (!row || link === document.activeElement);
    if (link) link.focus({ preventScroll: true });
    steady = isThere ? steady + 1 : 0;
    if (steady > STEADY_FRAMES || performance.now() > until) return end();
    frame = requestAnimationFrame(look);
  };
  ending = stop;
  for (const name of TAKEN_BY) addEventListener(name, end);
  look();
}
