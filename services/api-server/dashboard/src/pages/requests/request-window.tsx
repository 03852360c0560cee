// biome-ignore-all lint/a11y/useSemanticElements: rows of a table cannot be outside the document
// biome-ignore-all lint/a11y/useFocusableInteractive: the link of a row is its stop of the keyboard
/** The grid of requests, of which only the visible rows are in the document. */

import { defaultRangeExtractor, type Range, useVirtualizer } from "@tanstack/react-virtual";
import {
  type CSSProperties,
  type KeyboardEvent,
  useCallback,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import type { RequestRow } from "../../api/request-list";
import { classes } from "../../parts/button";
import { COLUMNS, type ColumnName, gridColumns } from "./columns";
import { keyMove } from "./grid-keys";
import css from "./list.module.css";
import { GridHead, GridRow } from "./request-row";
import shared from "./rows.module.css";
import type { Loaded } from "./window";

/** Rows that are kept above and below the visible ones, so that the keyboard finds them. */
const OVERSCAN = 12;

export interface Selection {
  marked: ReadonlySet<string>;
  peeked: string | undefined;
}

interface Props {
  loaded: Loaded;
  previews: Readonly<Record<number, string>>;
  columns: ColumnName[];
  selection: Selection;
  /** Whether there are more rows than those that are loaded. */
  more: boolean;
  /** Whether the rows are of another part of the list, until those asked for arrive. */
  outdated: boolean;
  /** A row to begin with, such as the one at a time. */
  beginWith: number | undefined;
  /** Whether the list is being scrolled to where it was left. */
  restoring: boolean;
  onVisible: (start: number, end: number) => void;
  onMark: (row: RequestRow) => void;
  onPeek: (id: string | undefined) => void;
}

export function RequestWindow(props: Props) {
  const { loaded, previews, columns, selection, more, outdated, beginWith, restoring } = props;
  const { onVisible, onMark, onPeek } = props;
  const { first, rows } = loaded;
  const body = useRef<HTMLDivElement>(null);
  const [above, setAbove] = useState(0);
  const [focused, setFocused] = useState<string | null>(null);
  const total = first + rows.length;
  // What is above the rows changes its height with the filters and messages.
  useLayoutEffect(() => setAbove(offsetIn(body.current)));
  const stop = focused === null ? -1 : rows.findIndex(({ request_id }) => request_id === focused);
  const rangeExtractor = useCallback(
    (range: Range) => {
      const visible = defaultRangeExtractor(range);
      // The row with the focus stays in the document, however far it is scrolled away.
      const kept = first + stop;
      if (stop === -1 || visible.includes(kept)) return visible;
      return kept < (visible[0] ?? 0) ? [kept, ...visible] : [...visible, kept];
    },
    [first, stop],
  );
  const virtualizer = useVirtualizer({
    count: total,
    getScrollElement: () => document.getElementById("main"),
    estimateSize: () => 37,
    overscan: OVERSCAN,
    scrollMargin: above,
    getItemKey: (at) => rows[at - first]?.id ?? -1 - at,
    rangeExtractor,
  });
  const { range } = virtualizer;
  const [start, end] = [range?.startIndex ?? 0, range?.endIndex ?? 0];
  const begun = useRef(beginWith === undefined);
  useEffect(() => {
    // What is visible before it has been scrolled to is not what is looked at.
    if (begun.current && !restoring) onVisible(start, end);
  }, [onVisible, start, end, restoring]);
  useEffect(() => {
    if (begun.current || beginWith === undefined) return;
    begun.current = true;
    virtualizer.scrollToIndex(Math.min(beginWith, total - 1), { align: "start" });
  }, [beginWith, total, virtualizer]);

  const items = virtualizer.getVirtualItems();
  const firstStop = stop === -1 ? Math.max(start, first) : first + stop;
  const rowAt = (target: EventTarget): RequestRow | undefined => {
    const id = (target as HTMLElement).closest<HTMLElement>("[role=row]")?.dataset.id;
    return rows.find(({ request_id }) => request_id === id);
  };
  const pressed = (event: KeyboardEvent) => {
    const row = rowAt(event.target);
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    // The space bar checks a box.
    if (event.key === " " && event.target instanceof HTMLInputElement) return;
    const move = keyMove(event.key);
    if (move !== null) {
      event.preventDefault();
      const page = Math.max(1, end - start - 1);
      const at = Math.max(first, Math.min(total - 1, move(first + rows.indexOf(row), page, first, total - 1)));
      focusRow(rows[at - first]!.request_id, () => virtualizer.scrollToIndex(at));
    } else if (event.key === " ") {
      event.preventDefault();
      onPeek(selection.peeked === row.request_id ? undefined : row.request_id);
    } else if (event.key === "x") {
      event.preventDefault();
      onMark(row);
    } else if (event.key === "Escape" && selection.peeked !== undefined) {
      event.preventDefault();
      event.stopPropagation();
      onPeek(undefined);
    }
  };
  const style = { "--columns": gridColumns(COLUMNS.filter(({ name }) => columns.includes(name))) } as CSSProperties;
  return (
    <div
      role="grid"
      tabIndex={-1}
      aria-label="Requests"
      aria-rowcount={more ? -1 : total + 1}
      aria-multiselectable="true"
      aria-busy={outdated}
      className={classes(shared.rows, css.grid)}
      style={style}
      onKeyDown={pressed}
      onFocus={(event) => {
        const row = rowAt(event.target);
        setFocused(row?.request_id ?? null);
        // What is looked at goes with the focus.
        if (row && selection.peeked !== undefined) onPeek(row.request_id);
      }}
    >
      <GridHead columns={columns} />
      <div role="rowgroup" ref={body} className={css.body} style={{ height: virtualizer.getTotalSize() }}>
        {items.map((item) => {
          const row = rows[item.index - first];
          return (
            <div
              key={item.key}
              role="presentation"
              ref={virtualizer.measureElement}
              data-index={item.index}
              style={{ transform: `translateY(${item.start - above}px)` }}
            >
              {row ? (
                <GridRow
                  row={row}
                  preview={previews[row.id]}
                  columns={columns}
                  index={item.index + 2}
                  isStop={item.index === firstStop}
                  isMarked={selection.marked.has(row.request_id)}
                  isPeeked={selection.peeked === row.request_id}
                  onMark={onMark}
                />
              ) : (
                <span className={css.ghost} aria-hidden="true" />
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}

/** Returns the distance of an element from the top of what is scrolled. */
function offsetIn(element: HTMLElement | null): number {
  const main = document.getElementById("main");
  if (!element || !main) return 0;
  return Math.round(element.getBoundingClientRect().top - main.getBoundingClientRect().top + main.scrollTop);
}

/** Focuses a row, once it is in the document. */
export function focusRow(id: string, show: () => void): void {
  const link = () => document.querySelector<HTMLElement>(`#main [data-request="${CSS.escape(id)}"]`);
  const found = link();
  if (found) {
    found.focus({ preventScroll: true });
    found.closest("[role=row]")?.scrollIntoView({ block: "nearest" });
    return;
  }
  show();
  requestAnimationFrame(() => requestAnimationFrame(() => link()?.focus({ preventScroll: true })));
}
