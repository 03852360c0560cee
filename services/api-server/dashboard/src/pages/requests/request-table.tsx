/** Requests as rows. Each row holds a real link, and is one stop of the keyboard. */

import { Link } from "@tanstack/react-router";
import type { RequestRow } from "../../api/queries";
import { dollars, short } from "../../format/numbers";
import { duration, exactTime, timeOfDay, UNKNOWN } from "../../format/time";
import css from "./requests.module.css";
import { StatusMark } from "./status-mark";

export function RequestTable({ rows }: { rows: RequestRow[] }) {
  return (
    <ul className={css.list} aria-label="Requests">
      <li aria-hidden="true">
        <RequestHead />
      </li>
      {rows.map((row) => (
        <li key={row.id}>
          <RequestLink row={row} />
        </li>
      ))}
    </ul>
  );
}

export function RequestHead() {
  return (
    <div className={css.head} aria-hidden="true">
      <Cells state="State" time="Time" model="Model" preview="Question" took="Took" tokens="Tokens" cost="Cost" />
    </div>
  );
}

export function RequestLink({ row }: { row: RequestRow }) {
  const summary = row.response_summary;
  return (
    <Link to="/requests/$id" params={{ id: row.request_id }} className={css.row} data-row preload={false}>
      <Cells
        state={<StatusMark status={row.status} />}
        time={<time title={exactTime(row.timestamp)}>{timeOfDay(row.timestamp)}</time>}
        model={
          <>
            {row.model || UNKNOWN}
            {row.provider_id && row.provider_id !== row.model && <small> {row.provider_id}</small>}
          </>
        }
        preview={
          summary?.error ? (
            <span className={css.error}>{summary.error}</span>
          ) : (
            row.preview || <span className="muted">{row.path}</span>
          )
        }
        took={duration(summary?.duration_ms)}
        tokens={short(summary?.total_tokens)}
        cost={dollars(summary?.cost_usd)}
      />
    </Link>
  );
}

type CellsProps = Record<"state" | "time" | "model" | "preview" | "took" | "tokens" | "cost", React.ReactNode>;

function Cells({ state, time, model, preview, took, tokens, cost }: CellsProps) {
  return (
    <>
      <span className={css.state}>{state}</span>
      <span className={css.time}>{time}</span>
      <span className={css.model}>{model}</span>
      <span className={css.preview}>{preview}</span>
      <span className={css.took}>{took}</span>
      <span className={css.tokens}>{tokens}</span>
      <span className={css.cost}>{cost}</span>
    </>
  );
}
