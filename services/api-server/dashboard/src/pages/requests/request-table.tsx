/** A few requests as rows, each of which is a link. */

import { Link } from "@tanstack/react-router";
import type { RequestRow } from "../../api/request-filters";
import { dollars, short } from "../../format/numbers";
import { duration, exactTime, timeOfDay } from "../../format/time";
import { classes } from "../../parts/button";
import { costOf, ModelName, Question } from "./request-cells";
import css from "./rows.module.css";
import { StatusMark } from "./status-mark";

export function RequestTable({ rows }: { rows: RequestRow[] }) {
  return (
    <ul className={css.rows} aria-label="Requests">
      <li aria-hidden="true">
        <div className={css.head}>
          <Cells state="State" time="Time" model="Model" preview="Question" took="Took" tokens="Tokens" cost="Cost" />
        </div>
      </li>
      {rows.map((row) => (
        <li key={row.id}>
          <RequestLink row={row} />
        </li>
      ))}
    </ul>
  );
}

function RequestLink({ row }: { row: RequestRow }) {
  return (
    <Link to="/requests/$id" params={{ id: row.request_id }} className={css.row} data-row preload={false}>
      <Cells
        state={<StatusMark status={row.status} />}
        time={<time title={exactTime(row.timestamp)}>{timeOfDay(row.timestamp)}</time>}
        model={<ModelName row={row} />}
        preview={<Question row={row} preview={row.preview} />}
        took={duration(row.duration_ms)}
        tokens={short(row.total_tokens)}
        cost={dollars(costOf(row))}
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
      <span className={css.question}>{preview}</span>
      <span className={classes(css.figure, css.took)}>{took}</span>
      <span className={css.figure}>{tokens}</span>
      <span className={css.figure}>{cost}</span>
    </>
  );
}
