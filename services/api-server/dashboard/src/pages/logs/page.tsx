import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useKey } from "../../app/keys";
import { count } from "../../format/numbers";
import { Button, IconButton, Row } from "../../parts/button";
import { SearchField, Select } from "../../parts/field";
import { ArrowDown, ArrowUp, Download, Pause, Play } from "../../parts/icons";
import { Empty, Failure, Page } from "../../parts/layout";
import { Tabs } from "../../parts/tabs";
import { download } from "../../parts/viewer";
import css from "./logs.module.css";
import { LEVELS, LOGS, type LogsSearch } from "./search";
import { atLeast, find, type LogLine } from "./tail";
import { useTail } from "./use-tail";

const route = getRouteApi("/logs");

export default function Logs() {
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/logs" });
  const log = search.log ?? "combined";
  const go = useCallback(
    (changes: LogsSearch) => void navigate({ search: (old) => ({ ...old, ...changes }), replace: true }),
    [navigate],
  );
  return (
    <Page title="Logs" wide>
      <Tabs
        label="Logs"
        current={log}
        onChange={(log) => go({ log })}
        tabs={LOGS.map((name) => [name, name === "combined" ? "All" : name] as const)}
      >
        <LogView key={log} log={log} search={search} go={go} />
      </Tabs>
    </Page>
  );
}

function LogView({ log, search, go }: { log: string; search: LogsSearch; go: (changes: LogsSearch) => void }) {
  const { tail, error } = useTail(log);
  const [following, setFollowing] = useState(true);
  const [wrap, setWrap] = useState(true);
  const [current, setCurrent] = useState(-1);
  const [pausedAt, setPausedAt] = useState(0);
  const lines = useMemo(() => atLeast(tail.lines, search.level), [tail, search.level]);
  const found = useMemo(() => find(lines, search.find ?? ""), [lines, search.find]);
  const commit = useCallback((find: string) => go({ find: find || undefined }), [go]);
  const toggle = useCallback(() => {
    setPausedAt(tail.next);
    setFollowing((on) => !on);
  }, [tail.next]);
  useKey("f", toggle);
  const pause = useCallback(() => {
    setFollowing((on) => {
      if (on) setPausedAt(tail.next);
      return false;
    });
  }, [tail.next]);
  const step = (by: number) => {
    if (found.length === 0) return;
    pause();
    setCurrent((at) => (at === -1 ? found.length - 1 : (at + by + found.length) % found.length));
  };
  const hit = current === -1 ? undefined : found[Math.min(current, found.length - 1)];
  return (
    <div className={css.view}>
      <Row>
        <SearchField label="Find" value={search.find ?? ""} onCommit={commit} />
        {search.find !== undefined && (
          <>
            <span role="status" className="muted">
              {found.length === 0
                ? "nothing found"
                : current === -1
                  ? `${count(found.length)} found`
                  : `${count(current + 1)} of ${count(found.length)}`}
            </span>
            <IconButton small icon={ArrowUp} label="Earlier" onClick={() => step(-1)} />
            <IconButton small icon={ArrowDown} label="Later" onClick={() => step(1)} />
          </>
        )}
        <div>
          <Select
            aria-label="Level"
            value={search.level ?? ""}
            onChange={(level) => go({ level: (level || undefined) as LogsSearch["level"] })}
            options={[
              ["", "All levels"],
              ...LEVELS.map((level): [string, string] => [
                level,
                level === "error" ? "errors only" : `${level} and above`,
              ]),
            ]}
          />
        </div>
        <Button small kind="quiet" onClick={() => setWrap(!wrap)}>
          {wrap ? "Do not wrap" : "Wrap"}
        </Button>
        <Button
          small
          icon={following ? Pause : Play}
          onClick={toggle}
          aria-keyshortcuts="f"
          title="Follow or pause (f)"
        >
          {following ? "Following" : tail.next > pausedAt ? `Follow, ${count(tail.next - pausedAt)} new` : "Follow"}
        </Button>
        <IconButton
          small
          icon={Download}
          label="Download these lines"
          onClick={() => download(lines.map((line) => line.raw).join("\n"), `${log}.log`, "text/plain")}
        />
      </Row>
      {error && <Failure title="The log cannot be followed." error={new Error(error)} />}
      {lines.length === 0 ? (
        <Empty title="No line yet">
          {tail.lines.length === 0 ? "New lines appear here as they are written." : "No line has this level."}
        </Empty>
      ) : (
        <Lines lines={lines} following={following} pause={pause} wrap={wrap} hit={hit} combined={log === "combined"} />
      )}
    </div>
  );
}

interface LinesProps {
  lines: LogLine[];
  following: boolean;
  pause: () => void;
  wrap: boolean;
  hit: number | undefined;
  combined: boolean;
}

function Lines({ lines, following, pause, wrap, hit, combined }: LinesProps) {
  const box = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: lines.length,
    getScrollElement: () => box.current,
    estimateSize: () => 20,
    overscan: 30,
    getItemKey: (at) => lines[at]!.id,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: to the end with each new line
  useEffect(() => {
    if (following) virtualizer.scrollToIndex(lines.length - 1, { align: "end" });
  }, [following, lines]);
  useEffect(() => {
    if (hit !== undefined) virtualizer.scrollToIndex(hit, { align: "center" });
  }, [hit, virtualizer]);
  return (
    <section
      ref={box}
      className={css.lines}
      role="log"
      aria-live="off"
      aria-label="Log lines"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so that it needs the keyboard
      tabIndex={0}
      onWheel={(event) => {
        if (event.deltaY < 0) pause();
      }}
      onTouchMove={pause}
      onKeyDown={(event) => {
        if (["ArrowUp", "PageUp", "Home"].includes(event.key)) pause();
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
              className={`${css.line} ${wrap ? css.wrap : ""} ${item.index === hit ? css.hit : ""} ${line.gap ? css.gap : ""}`}
              style={{ transform: `translateY(${item.start}px)` }}
            >
              {line.time !== null && <time title={line.time}>{line.time.slice(11, 23)}</time>}
              {line.level !== null && <b className={css[line.level]}>{line.level.toUpperCase()}</b>}
              {combined && line.service !== null && <i>{line.service}</i>}
              <span>{line.gap ? `── ${line.text} ──` : line.text}</span>
            </div>
          );
        })}
      </div>
    </section>
  );
}
