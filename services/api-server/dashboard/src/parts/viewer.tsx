/** A viewer for large texts: only visible lines are in the document. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { bytes, count } from "../format/numbers";
import { findLines, type Lines, lineAt, MAX_LINE } from "../workers/lines";
import { splitLines } from "../workers/start";
import { Button, IconButton, Row } from "./button";
import { CopyButton } from "./copy";
import { ArrowDown, ArrowUp, Download } from "./icons";
import { Failure, Loading } from "./layout";
import css from "./viewer.module.css";

interface ViewerProps {
  text: string;
  /** Name of the file for downloads. */
  name: string;
  label: string;
}

export function Viewer({ text, name, label }: ViewerProps) {
  const [pretty, setPretty] = useState(true);
  const [wrap, setWrap] = useState(true);
  const [lines, setLines] = useState<Lines | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    const cancel = new AbortController();
    setError(null);
    splitLines(text, pretty, cancel.signal).then(setLines, setError);
    return () => cancel.abort();
  }, [text, pretty]);
  if (error != null) return <Failure title="The text cannot be shown." error={error} />;
  if (lines === null) return <Loading rows={6} />;
  return <LineList lines={lines} {...{ text, name, label, pretty, setPretty, wrap, setWrap }} />;
}

interface LineListProps extends ViewerProps {
  lines: Lines;
  pretty: boolean;
  setPretty: (pretty: boolean) => void;
  wrap: boolean;
  setWrap: (wrap: boolean) => void;
}

function LineList({ lines, text, name, label, pretty, setPretty, wrap, setWrap }: LineListProps) {
  const box = useRef<HTMLDivElement>(null);
  const [wanted, setWanted] = useState("");
  const [current, setCurrent] = useState(0);
  const [unclipped, setUnclipped] = useState<ReadonlySet<number>>(new Set());
  const found = useMemo(() => findLines(lines, wanted), [lines, wanted]);
  const total = lines.offsets.length - 1;
  const virtualizer = useVirtualizer({
    count: total,
    getScrollElement: () => box.current,
    estimateSize: () => 20,
    overscan: 20,
  });
  const show = (at: number) => {
    const next = (at + found.length) % found.length;
    setCurrent(next);
    virtualizer.scrollToIndex(found[next]!, { align: "center" });
  };
  const hit = found[current];
  return (
    <div className={css.viewer}>
      <Row className={css.tools}>
        <input
          type="search"
          aria-label={`Find in ${label}`}
          placeholder="Find"
          data-shortcut="/"
          value={wanted}
          onChange={(event) => {
            setWanted(event.target.value);
            setCurrent(0);
          }}
          onKeyDown={(event) => {
            if (event.key === "Enter" && found.length > 0)
              show(event.shiftKey ? current - 1 : hit === undefined ? 0 : current + 1);
          }}
        />
        {wanted !== "" && (
          <>
            <span role="status">
              {found.length === 0 ? "nothing found" : `${count(current + 1)} of ${plus(found.length)}`}
            </span>
            <IconButton
              small
              icon={ArrowUp}
              label="Previous"
              disabledBecause={found.length ? undefined : "Nothing found"}
              onClick={() => show(current - 1)}
            />
            <IconButton
              small
              icon={ArrowDown}
              label="Next"
              disabledBecause={found.length ? undefined : "Nothing found"}
              onClick={() => show(current + 1)}
            />
          </>
        )}
        <span className={css.push}>
          {bytes(text.length)}, {count(total)} lines
        </span>
        <Button small kind="quiet" onClick={() => setPretty(!pretty)}>
          {pretty ? "As it is" : "Pretty"}
        </Button>
        <Button small kind="quiet" onClick={() => setWrap(!wrap)}>
          {wrap ? "Do not wrap" : "Wrap"}
        </Button>
        <CopyButton small text={text} label={`Copy ${label}`} />
        <IconButton small icon={Download} label={`Download ${label}`} onClick={() => download(text, name)} />
      </Row>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so that it needs the keyboard */}
      <section ref={box} className={css.lines} tabIndex={0} aria-label={label}>
        <div style={{ height: virtualizer.getTotalSize(), position: "relative" }}>
          {virtualizer.getVirtualItems().map((item) => {
            const line = lineAt(lines, item.index);
            const clipped = line.length > MAX_LINE && !unclipped.has(item.index);
            return (
              <div
                key={item.key}
                ref={virtualizer.measureElement}
                data-index={item.index}
                className={`${css.line} ${wrap ? css.wrapped : ""} ${item.index === hit ? css.hit : ""}`}
                style={{ transform: `translateY(${item.start}px)` }}
              >
                <span className={css.number} aria-hidden="true">
                  {item.index + 1}
                </span>
                <code>
                  {clipped ? line.slice(0, MAX_LINE) : line}
                  {clipped && (
                    <Button small onClick={() => setUnclipped(new Set([...unclipped, item.index]))}>
                      Show {bytes(line.length - MAX_LINE)} more
                    </Button>
                  )}
                </code>
              </div>
            );
          })}
        </div>
      </section>
    </div>
  );
}

const plus = (found: number) => (found === 10_000 ? "10,000 or more" : count(found));

/** Saves a text as a file. */
export function download(text: string, name: string, type = "application/json"): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
