/** The list that was left for one of its requests: going back shows the same rows. */

import { useEffect, useRef, useState } from "react";
import type { Anchor } from "../../api/request-list";
import { useReturning } from "../../app/returning";
import { defined } from "./filter-words";
import type { ListSearch } from "./search";

export interface LeftList {
  search: ListSearch;
  anchor: Anchor;
}

/** The list that was shown last. */
let known: LeftList | null = null;

/** Returns whether the list of an address is the one that was left; an address without anything means that one, too. */
export function isLeft(search: ListSearch, known: ListSearch): boolean {
  const text = (one: ListSearch) => JSON.stringify(Object.entries(defined(one)).sort());
  return Object.keys(defined(search)).length === 0 || text(search) === text(known);
}

/** Remembers the list as it is now. */
export function useRemembered(search: ListSearch, anchor: Anchor): void {
  const text = JSON.stringify(defined(search));
  useEffect(() => {
    known = { search: JSON.parse(text) as ListSearch, anchor };
  }, [text, anchor]);
}

/** Returns the list that was left, if it is returned to and has not been changed since. */
export function useLeftList(search: ListSearch): LeftList | null {
  const [found] = useState(() =>
    known && useReturning.getState().place !== null && isLeft(search, known.search) ? known : null,
  );
  const isChanged = useRef(false);
  if (found && !isLeft(search, found.search)) isChanged.current = true;
  return isChanged.current ? null : found;
}
