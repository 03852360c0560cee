/** Going back from a request to the list: the same rows, at the same place, with the same focus. */

import { useRouter } from "@tanstack/react-router";
import { useEffect, useLayoutEffect, useState } from "react";
import type { Anchor } from "../../api/request-list";
import { defined } from "./filter-words";
import { type LeftList, remember } from "./last-list";
import { focusRow } from "./request-window";
import type { ListSearch } from "./search";

/** Remembers the place in the list, and goes to the one that was left. Returns whether it is on its way there. */
export function useReturn(search: ListSearch, anchor: Anchor, left: LeftList | null, hasRows: boolean): boolean {
  const router = useRouter();
  const [target, setTarget] = useState(left);
  useLayoutEffect(() => {
    if (target === null || !hasRows) return;
    const go = () => {
      document.getElementById("main")?.scrollTo(0, target.scroll);
      if (target.row !== null) focusRow(target.row, () => {});
    };
    go();
    // The router scrolls a page that was gone to to its top.
    const off = router.subscribe("onRendered", go);
    const frame = requestAnimationFrame(() => {
      go();
      off();
      setTarget(null);
    });
    return () => {
      cancelAnimationFrame(frame);
      off();
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
