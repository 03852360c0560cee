/** The lines of a text, of which only the visible ones are in the document. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, type RefObject, useEffect, useMemo, useRef, useState } from "react";
import { bytes, count } from "../format/numbers";
import { foldsBelow, type Lines, lineAt, MAX_LINE, unfoldedFor, visibleLines } from "../workers/lines";
import { Button } from "./button";
import css from "./viewer.module.css";

/** Characters that a button adds to a clipped line. */
const MORE = 100_000;
/** Pixels of a line that is not wrapped. */
const HEIGHT = 20;
/** Lines up to which the height of each is measured; beyond, all have the same. */
const MAX_MEASURED = 200_000;
/** Pixels of the tallest list; browsers cut off elements of more than 33 million. */
const TALLEST = 20_000_000;
/** Lines that are drawn above and below the visible ones. */
const OVERSCAN = 20;

export interface Folds {
  folded: ReadonlySet<number>;
  level: string;
  setLevel: (level: string) => void;
  toggle: (line: number) => void;
  /** Unfolds what hides a line. */
  unfold: (line: number) => void;
}

export function useFolds({ closes }: Lines): Folds {
  const [folded, setFolded] = useState<ReadonlySet<number>>(new Set());
  const [level, setLevel] = useState("");
  return {
    folded,
    level,
    setLevel: (level) => {
      setLevel(level);
      setFolded(level === "" ? new Set() : foldsBelow(closes, Number(level)));
    },
    toggle: (line) => {
      const next = new Set(folded);
      if (!next.delete(line)) next.add(line);
      setFolded(next);
    },
    unfold: (line) => setFolded(unfoldedFor(closes, folded, line)),
  };
}

interface ListProps {
  lines: Lines;
  label: string;
  wrap: boolean;
  folds: Folds;
  hit: number | undefined;
  /** Receives the function that scrolls to a line. */
  scroll: RefObject<((line: number) => void) | null>;
}

export function LineList(props: ListProps) {
  const { lines, folds } = props;
  const total = lines.offsets.length - 1;
  const shown = useMemo(() => visibleLines(lines.closes, total, folds.folded), [lines, total, folds.folded]);
  const rows = shown?.length ?? total;
  const view = {
    ...props,
    rows,
    lineOf: (row: number) => shown?.[row] ?? row,
    rowOf: (line: number) => (shown === null ? line : rowIn(shown, line)),
  };
  return rows > MAX_MEASURED ? <EvenLines {...view} /> : <MeasuredLines {...view} />;
}

/** Returns the place of a line, or of the last one before it. */
function rowIn(shown: Uint32Array, line: number): number {
  let [low, high] = [0, shown.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (shown[middle]! <= line) low = middle;
    else high = middle - 1;
  }
  return low;
}

interface ViewProps extends ListProps {
  rows: number;
  lineOf: (row: number) => number;
  rowOf: (line: number) => number;
}

function MeasuredLines({ rows, lineOf, rowOf, scroll, ...rest }: ViewProps) {
  const box = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: rows,
    getScrollElement: () => box.current,
    estimateSize: () => HEIGHT,
    overscan: OVERSCAN,
  });
  useEffect(() => {
    scroll.current = (line) => virtualizer.scrollToIndex(rowOf(line), { align: "center" });
  });
  return (
    <Box boxRef={box} label={rest.label} height={virtualizer.getTotalSize()}>
      {virtualizer.getVirtualItems().map((item) => (
        <LineView
          key={item.key}
          measure={virtualizer.measureElement}
          row={item.index}
          line={lineOf(item.index)}
          top={item.start}
          {...rest}
        />
      ))}
    </Box>
  );
}

/** Lines of the same height, which are not wrapped. The bar of very many is scaled. */
function EvenLines({ rows, lineOf, rowOf, scroll, ...rest }: ViewProps) {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [visible, setVisible] = useState(40);
  const height = Math.min(TALLEST, rows * HEIGHT);
  const span = visible * HEIGHT;
  const perPixel = Math.max(1, (rows * HEIGHT - span) / (height - span));
  useEffect(() => {
    setVisible(Math.ceil((box.current?.clientHeight ?? 800) / HEIGHT));
    scroll.current = (line) => {
      const element = box.current;
      if (element) element.scrollTop = (rowOf(line) * HEIGHT) / perPixel - element.clientHeight / 2;
    };
  });
  const first = Math.max(0, Math.min(rows - visible, Math.floor((top * perPixel) / HEIGHT)));
  const begin = Math.max(0, first - OVERSCAN);
  const drawn = Math.min(rows, first + visible + OVERSCAN) - begin;
  return (
    <Box boxRef={box} label={rest.label} height={height} onScroll={() => setTop(box.current?.scrollTop ?? 0)}>
      {Array.from({ length: drawn }, (_, at) => (
        <LineView
          key={lineOf(begin + at)}
          row={begin + at}
          line={lineOf(begin + at)}
          top={top + (begin + at - (top * perPixel) / HEIGHT) * HEIGHT}
          {...rest}
          wrap={false}
        />
      ))}
    </Box>
  );
}

interface BoxProps {
  boxRef: RefObject<HTMLDivElement | null>;
  label: string;
  height: number;
  onScroll?: () => void;
  children: ReactNode;
}

function Box({ boxRef, label, height, onScroll, children }: BoxProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so that it needs the keyboard
    <section ref={boxRef} className={css.lines} tabIndex={0} aria-label={label} onScroll={onScroll}>
      <div style={{ height, position: "relative" }}>{children}</div>
    </section>
  );
}

interface LineProps extends Pick<ListProps, "lines" | "wrap" | "folds" | "hit"> {
  line: number;
  row: number;
  top: number;
  measure?: (element: Element | null) => void;
}

function LineView({ lines, line, row, top, wrap, folds, hit, measure }: LineProps) {
  const close = lines.closes[line] ?? 0;
  const isFolded = folds.folded.has(line);
  return (
    <div
      ref={measure}
      data-index={row}
      className={`${css.line} ${wrap ? css.wrapped : ""} ${line === hit ? css.hit : ""}`}
      style={{ transform: `translateY(${top}px)` }}
    >
      <span className={css.number} aria-hidden="true">
        {line + 1}
      </span>
      {lines.closes.length > 0 &&
        (close === 0 ? (
          <span className={css.fold} />
        ) : (
          // The levels above do the same for the keyboard, without a stop at each line.
          <button
            type="button"
            tabIndex={-1}
            className={css.fold}
            aria-expanded={!isFolded}
            aria-label={`Lines ${line + 1} to ${close + 1}`}
            onClick={() => folds.toggle(line)}
          >
            {isFolded ? "▸" : "▾"}
          </button>
        ))}
      <LineText text={lineAt(lines, line)} />
      {isFolded && (
        <button type="button" tabIndex={-1} className={css.folded} onClick={() => folds.toggle(line)}>
          {count(close - line - 1)} lines {lineAt(lines, close).trim()}
        </button>
      )}
    </div>
  );
}

function LineText({ text }: { text: string }) {
  const [shown, setShown] = useState(MAX_LINE);
  const hidden = text.length - shown;
  return (
    <code>
      {hidden > 0 ? text.slice(0, shown) : text}
      {hidden > 0 && (
        <Button small onClick={() => setShown(shown + MORE)}>
          Show {bytes(Math.min(MORE, hidden))} of {bytes(hidden)} more
        </Button>
      )}
    </code>
  );
}
