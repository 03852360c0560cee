import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useCallback, useEffect, useState } from "react";
import { useKey } from "../../app/keys";
import { count } from "../../format/numbers";
import { Button, Row } from "../../parts/button";
import { SearchField, Select } from "../../parts/field";
import { Download, Pause, Play } from "../../parts/icons";
import { Empty, Failure, Loading, Page } from "../../parts/layout";
import { Menu } from "../../parts/menu";
import { Tabs } from "../../parts/tabs";
import { download } from "../../parts/viewer";
import { Lines } from "./lines";
import css from "./logs.module.css";
import { downloadAddress } from "./read";
import { LEVELS, LOGS, type LogsSearch } from "./search";
import type { LogLine } from "./tail";
import { type Log, useTail } from "./use-tail";

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
  const { level, q } = search;
  const source = useTail(log, level, q);
  const { tail, error, retry } = source;
  const next = tail?.next ?? 0;
  const lines = tail?.lines ?? [];
  const [following, setFollowing] = useState(true);
  const [wrap, setWrap] = useState(true);
  const [pausedAt, setPausedAt] = useState(0);
  const commit = useCallback((text: string) => go({ q: text || undefined }), [go]);
  const follow = useCallback(() => setFollowing(true), []);
  const pause = useCallback(() => {
    setFollowing((on) => {
      if (on) setPausedAt(next);
      return false;
    });
  }, [next]);
  const toggle = following ? pause : follow;
  useKey("f", toggle);
  const filtered = level !== undefined || q !== undefined;
  return (
    <div className={css.view}>
      <Row>
        <SearchField label="Search the log" value={q ?? ""} onCommit={commit} />
        <div>
          <Select
            aria-label="Level"
            value={level ?? ""}
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
          {following ? "Following" : next > pausedAt ? `Follow, ${count(next - pausedAt)} new` : "Follow"}
        </Button>
        <Menu label="Download" icon={Download} items={downloads(log, lines, filtered)} />
      </Row>
      {error != null && <Failure title="The log cannot be read." error={error} retry={retry} />}
      {tail === null ? (
        error == null && <Loading rows={8} />
      ) : lines.length === 0 ? (
        <Nothing source={source} filtered={filtered} clear={() => go({ level: undefined, q: undefined })} />
      ) : (
        <Lines
          source={source}
          lines={lines}
          following={following}
          follow={follow}
          pause={pause}
          wrap={wrap}
          wanted={q ?? ""}
          combined={log === "combined"}
        />
      )}
    </div>
  );
}

function downloads(log: string, lines: LogLine[], filtered: boolean) {
  const shown = () => download(lines.map((line) => line.raw).join("\n"), `${log}.log`, "text/plain");
  const whole = () => {
    const link = document.createElement("a");
    link.href = downloadAddress(log);
    link.download = "";
    link.click();
  };
  return [
    { label: "The whole log", icon: Download, run: whole },
    { label: `${filtered ? "The lines that match" : "These lines"} (${count(lines.length)})`, run: shown },
  ];
}

/** A log without lines that match. Earlier ones are searched by themselves, until there are no more. */
function Nothing({ source, filtered, clear }: { source: Log; filtered: boolean; clear: () => void }) {
  const { hasEarlier, earlier, readEarlier } = source;
  useEffect(() => {
    if (hasEarlier && !earlier.pending && earlier.error === null) readEarlier();
  }, [hasEarlier, earlier, readEarlier]);
  if (earlier.error !== null)
    return <Failure title="Earlier lines cannot be read." error={earlier.error} retry={readEarlier} />;
  if (hasEarlier || earlier.pending) return <Empty title="Searching earlier lines…" />;
  if (!filtered) return <Empty title="No line yet">New lines appear here as they are written.</Empty>;
  return (
    <Empty title="No line matches" action={<Button onClick={clear}>Show all lines</Button>}>
      Lines that match appear here as they are written.
    </Empty>
  );
}
