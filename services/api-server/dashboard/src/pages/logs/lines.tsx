/** The lines of a log: only visible ones are in the document. */

import { useVirtualizer, type Virtualizer } from "@tanstack/react-virtual";
import { memo, type RefObject, useEffect, useLayoutEffect, useRef } from "react";
import { asProblem } from "../../api/problem";
import { plural } from "../../format/numbers";
import { clockOf } from "../../format/time";
import { Button, classes, Row } from "../../parts/button";
import { type Part, partsOf, splitAt } from "./colours";
import css from "./logs.module.css";
import { hasRoom, type LogLine } from "./tail";
import type { Log } from "./use-tail";

interface LinesProps {
  source: Log;
  lines: LogLine[];
  following: boolean;
  follow: () => void;
  pause: () => void;
  wrap: boolean;
  wanted: string;
  combined: boolean;
}

const ROW = 20;
/** Pixels above the first line in which the lines before it are read. */
const READ_AHEAD = 400;

export function Lines({ source, lines, following, follow, pause, wrap, wanted, combined }: LinesProps) {
  const { earlier, readEarlier } = source;
  const box = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: lines.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW,
    overscan: 30,
    getItemKey: (at) => lines[at]!.id,
  });
  /** Where the list was scrolled to. */
  const seen = useRef(0);
  useSteady(virtualizer, seen, lines[0]!.id);
  // biome-ignore lint/correctness/useExhaustiveDependencies: to the end with each new line
  useEffect(() => {
    if (following) virtualizer.scrollToIndex(lines.length - 1, { align: "end" });
  }, [following, lines]);
  /** Notices that the bar was dragged up: what the page does itself only goes down. */
  const scrolled = () => {
    const { scrollTop = 0, scrollHeight = 0, clientHeight = 0 } = box.current ?? {};
    if (following && scrollTop < seen.current && scrollHeight - scrollTop - clientHeight > 2 * ROW) pause();
    seen.current = scrollTop;
    readAhead();
  };
  const readAhead = () => {
    if (!following && (box.current?.scrollTop ?? READ_AHEAD) < READ_AHEAD && earlier.error === null) readEarlier();
  };
  // After earlier lines have come, there may still be room above, as long as few match.
  // biome-ignore lint/correctness/useExhaustiveDependencies: with each change of what is there
  useEffect(readAhead, [lines, following, earlier]);
  return (
    <>
      <Beginning source={source} lines={lines.length} />
      <section
        ref={box}
        className={css.lines}
        role="log"
        aria-live="off"
        aria-label="Log lines"
        aria-busy={earlier.pending}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so that it needs the keyboard
        tabIndex={0}
        onScroll={scrolled}
        onWheel={(event) => {
          if (event.deltaY < 0) pause();
        }}
        onTouchMove={pause}
        onKeyDown={(event) => {
          if (["ArrowUp", "PageUp", "Home"].includes(event.key)) pause();
          if (event.key === "End") follow();
        }}
        onMouseUp={() => {
          if (getSelection()?.isCollapsed === false) pause();
        }}
      >
        <div style={{ height: virtualizer.getTotalSize(), position: "relative" }}>
          {virtualizer.getVirtualItems().map((item) => {
            const line = lines[item.index]!;
            return (
              <div
                key={item.key}
                ref={virtualizer.measureElement}
                data-index={item.index}
                className={classes(css.line, wrap && css.wrap, line.gap && css.gap)}
                style={{ transform: `translateY(${item.start}px)` }}
              >
                <Content line={line} wanted={wanted} combined={combined} />
              </div>
            );
          })}
        </div>
      </section>
    </>
  );
}

/** Keeps what is read in its place when lines are put before it, whose heights may be known already. */
function useSteady(virtualizer: Virtualizer<HTMLDivElement, Element>, seen: RefObject<number>, first: number): void {
  const before = useRef(first);
  useLayoutEffect(() => {
    const added = before.current - first;
    before.current = first;
    if (added <= 0) return;
    // Takes in what was measured with this drawing.
    virtualizer.getTotalSize();
    virtualizer.scrollToOffset(seen.current + (virtualizer.measurementsCache[added]?.start ?? added * ROW));
  }, [virtualizer, seen, first]);
}

/** Says what is before the first line. */
function Beginning({ source, lines }: { source: Log; lines: number }) {
  const { tail, hasEarlier, earlier, readEarlier } = source;
  if (earlier.error !== null) {
    return (
      <Row>
        <span className="muted">Earlier lines cannot be read: {asProblem(earlier.error).message}</span>
        <Button small onClick={readEarlier}>
          Try again
        </Button>
      </Row>
    );
  }
  if (tail !== null && !hasRoom(tail)) {
    const words = `The page holds ${plural(lines, "line")}; earlier ones are in the download, and a search finds them.`;
    return <p className="muted">{words}</p>;
  }
  if (!hasEarlier && !earlier.pending) return <p className="muted">The log begins with these lines.</p>;
  return (
    <Row>
      <Button small kind="quiet" pending={earlier.pending} onClick={readEarlier}>
        {earlier.pending ? "Reading earlier lines" : "Earlier lines"}
      </Button>
    </Row>
  );
}

const Content = memo(function Content({
  line,
  wanted,
  combined,
}: {
  line: LogLine;
  wanted: string;
  combined: boolean;
}) {
  if (line.gap) return <span>── {line.text} ──</span>;
  const parts: Pick<Part, "text">[] =
    line.coloured === null ? [{ text: line.text }] : partsOf(line.coloured, line.raw.length - line.text.length);
  return (
    <>
      {line.time !== null && <time title={line.time}>{clockOf(line.time)}</time>}
      {line.level !== null && <b className={css[line.level]}>{line.level.toUpperCase()}</b>}
      {combined && line.service !== null && <i>{line.service}</i>}
      <span>
        {parts.map((part, at) => (
          <span key={at} className={"colour" in part ? classOf(part as Part) : undefined}>
            {splitAt(part.text, wanted).map((text, at) => (at % 2 === 1 ? <mark key={at}>{text}</mark> : text))}
          </span>
        ))}
      </span>
    </>
  );
});

function classOf({ colour, bold, dim, italic, underlined }: Part): string {
  return classes(
    colour && css[colour],
    bold && css.bold,
    dim && css.dim,
    italic && css.italic,
    underlined && css.underlined,
  );
}
