/** A list of requests of which only the visible rows are in the document. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import type { RequestRow } from "../../api/queries";
import { Loading } from "../../parts/layout";
import { RequestHead, RequestLink } from "./request-table";
import css from "./requests.module.css";

interface Props {
  rows: RequestRow[];
  more: boolean;
  loading: boolean;
  loadMore: () => void;
}

/** Rows that are kept above and below the visible ones, so that the keyboard finds them. */
const OVERSCAN = 12;

export function RequestWindow({ rows, more, loading, loadMore }: Props) {
  const list = useRef<HTMLUListElement>(null);
  const [above, setAbove] = useState(0);
  // What is above the list changes its height with the filters and messages.
  useLayoutEffect(() => setAbove(list.current?.offsetTop ?? 0));
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => document.getElementById("main"),
    estimateSize: () => 37,
    overscan: OVERSCAN,
    scrollMargin: above,
    getItemKey: (at) => rows[at]!.id,
  });
  const items = virtualizer.getVirtualItems();
  const lastShown = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (more && !loading && lastShown >= rows.length - OVERSCAN) loadMore();
  }, [more, loading, lastShown, rows.length, loadMore]);
  return (
    <>
      <div className={css.list}>
        <RequestHead />
      </div>
      <ul
        ref={list}
        className={`${css.list} ${css.windowed}`}
        aria-label="Requests"
        style={{ height: virtualizer.getTotalSize() }}
      >
        {items.map((item) => (
          <li
            key={item.key}
            ref={virtualizer.measureElement}
            data-index={item.index}
            aria-setsize={more ? -1 : rows.length}
            aria-posinset={item.index + 1}
            style={{ transform: `translateY(${item.start - above}px)` }}
          >
            <RequestLink row={rows[item.index]!} />
          </li>
        ))}
      </ul>
      {loading && <Loading rows={3} />}
    </>
  );
}
