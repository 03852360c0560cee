import { useMemo } from "react";
import { Card } from "../../../parts/layout";
import { Mark } from "../../../parts/mark";
import { type CallRow, compareCalls } from "./compare-calls";
import type { Call } from "./live-answer";
import css from "./replay.module.css";

export function CallDiff({ before, after }: { before: Call[]; after: Call[] }) {
  const rows = useMemo(() => compareCalls(before, after), [before, after]);
  return (
    <Card title="Tool calls">
      <ul className={css.calls} aria-label="Tool calls">
        {rows.map((row, at) => (
          <li key={at}>
            <p>
              <code>{row.name}</code> <CallOutcome row={row} />
            </p>
            <div className={css.sides}>
              <Arguments title="Original" input={row.before} />
              <Arguments title="Replay" input={row.after} />
            </div>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function CallOutcome({ row }: { row: CallRow }) {
  if (row.before === null) return <Mark tone="warn">only in the replay</Mark>;
  if (row.after === null) return <Mark tone="warn">only in the original</Mark>;
  if (row.isSame) return <Mark tone="ok">same arguments</Mark>;
  return (
    <Mark tone="warn">{row.differing.length > 0 ? `differs in ${row.differing.join(", ")}` : "other arguments"}</Mark>
  );
}

function Arguments({ title, input }: { title: string; input: string | null }) {
  return (
    <section aria-label={`Arguments, ${title.toLowerCase()}`}>
      <h3>{title}</h3>
      {input === null ? <p className="muted">no such call</p> : <pre className={css.text}>{input || "(none)"}</pre>}
    </section>
  );
}
