/** The list that was left for one of its requests: going back shows the same rows at the same place. */

import { useRouter } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import type { Anchor } from "../../api/request-list";
import { defined } from "./filter-words";
import type { ListSearch } from "./search";

export interface LeftList {
  search: ListSearch;
  anchor: Anchor;
  scroll: number;
  /** The row that had the focus. */
  row: string | null;
}

let left: LeftList | null = null;
/** Path of the page before the present one. */
let before: string | undefined;
let watching = false;

/** Remembers the list as it is now. */
export function remember(changes: Partial<LeftList> & Pick<LeftList, "search">): void {
  const isSame = left !== null && JSON.stringify(left.search) === JSON.stringify(changes.search);
  left = { anchor: { at: 0 }, scroll: 0, row: null, ...(isSame && left), ...changes };
}

/** Returns whether a path is that of one request, or of its replay. */
export function isOfRequest(path: string | undefined): boolean {
  return path !== undefined && /\/requests\/[^/]+(\/replay)?\/?$/.test(path);
}

/** Returns whether the list of an address is the one that was left; an address without anything means that one, too. */
export function isLeft(search: ListSearch, known: ListSearch): boolean {
  const text = (one: ListSearch) => JSON.stringify(Object.entries(defined(one)).sort());
  return Object.keys(defined(search)).length === 0 || text(search) === text(known);
}

/** Returns the list that was left, if the page before was one of its requests and the list has not been changed since. */
export function useLeftList(search: ListSearch): LeftList | null {
  const router = useRouter();
  const [found] = useState(() => (left && isOfRequest(before) && isLeft(search, left.search) ? left : null));
  const isChanged = useRef(false);
  if (found && !isLeft(search, found.search)) isChanged.current = true;
  useEffect(() => {
    if (watching) return;
    watching = true;
    // For as long as the console is open: the page before is known only while it is being left.
    router.subscribe("onBeforeLoad", ({ fromLocation }) => {
      before = fromLocation?.pathname;
    });
  }, [router]);
  return isChanged.current ? null : found;
}
