/** Going back from a request to the list: the same rows, at the same place, with the same focus. */

import { useRouter } from "@tanstack/react-router";
import { useEffect, useLayoutEffect, useState } from "react";
import type { Anchor } from "../../api/request-list";
import { defined } from "./filter-words";
import { type LeftList, remember } from "./last-list";
import { focusRow } from "./request-window";
import type { ListSearch } from "./search";

/** Frames after which the place is given up: its rows may be gone. */
const MAX_FRAMES = 120;
/** Events with which the user goes somewhere else. */
const TAKEN_BY = ["keydown", "pointerdown", "wheel"] as const;

/** Remembers the place in the list, and goes to the one that was left. Returns whether it is on its way there. */
export function useReturn(search: ListSearch, anchor: Anchor, left: LeftList | null, hasRows: boolean): boolean {
  const router = useRouter();
  const [target, setTarget] = useState(left);
  useLayoutEffect(() => {
    if (target === null || !hasRows) return;
    const { row, scroll } = target;
    const go = () => {
      document.getElementById("main")?.scrollTo(0, scroll);
      if (row !== null) focusRow(row, () => {});
    };
    const hasArrived = () => row === null || (document.activeElement as HTMLElement | null)?.dataset.request === row;
    let frame = 0;
    let left = MAX_FRAMES;
    const end = () => {
      left = 0;
      setTarget(null);
    };
    // The rows of the place are rendered a few frames later, and until then the focus has nowhere to go.
    const look = () => {
      const wasThere = hasArrived();
      go();
      left -= 1;
      if (left <= 0 || (wasThere && hasArrived())) end();
      else frame = requestAnimationFrame(look);
    };
    go();
    // The router scrolls a page that was gone to to its top.
    const off = router.subscribe("onRendered", go);
    frame = requestAnimationFrame(look);
    for (const name of TAKEN_BY) addEventListener(name, end, { once: true });
    return () => {
      cancelAnimationFrame(frame);
      off();
      for (const name of TAKEN_BY) removeEventListener(name, end);
    };
  }, [router, target, hasRows]);
  const text = JSON.stringify(defined(search));
  useEffect(() => {
    if (target !== null) return;
    const main = document.getElementById("main");
    const search = JSON.parse(text) as ListSearch;
    const scrolled = () => remember({ search, anchor, scroll: main?.scrollTop ?? 0 });
    const focused = (event: FocusEvent) => {
      const row = (event.target as HTMLElement | null)?.dataset?.request;
      if (row !== undefined) remember({ search, row });
    };
    remember({ search, anchor, scroll: main?.scrollTop ?? 0 });
    main?.addEventListener("scroll", scrolled, { passive: true });
    main?.addEventListener("focusin", focused);
    return () => {
      main?.removeEventListener("scroll", scrolled);
      main?.removeEventListener("focusin", focused);
    };
  }, [text, anchor, target]);
  return target !== null;
}
