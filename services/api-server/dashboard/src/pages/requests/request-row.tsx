// biome-ignore-all lint/a11y/useSemanticElements: rows of a table cannot be outside the document
// biome-ignore-all lint/a11y/useFocusableInteractive: the link of a row is its stop of the keyboard
/** A row of the grid of requests. Its link covers it, and is its only stop of the keyboard. */

import { Link } from "@tanstack/react-router";
import { memo } from "react";
import type { RequestRow } from "../../api/request-list";
import { exactTime, timeOfDay } from "../../format/time";
import { classes } from "../../parts/button";
import { COLUMNS, type ColumnName } from "./columns";
import css from "./list.module.css";
import { ModelName, Question } from "./request-cells";
import shared from "./rows.module.css";
import { StatusMark, statusWords } from "./status-mark";

interface RowProps {
  row: RequestRow;
  preview: string | undefined;
  columns: ColumnName[];
  /** Number of the row, from one on; the head is the first. */
  index: number;
  isStop: boolean;
  isMarked: boolean;
  isPeeked: boolean;
  onMark: (row: RequestRow) => void;
}

export const GridRow = memo(function GridRow(props: RowProps) {
  const { row, preview, columns, index, isStop, isMarked, isPeeked, onMark } = props;
  return (
    <div
      role="row"
      aria-rowindex={index}
      aria-selected={isMarked}
      className={classes(shared.row, css.row, isMarked && css.marked, isPeeked && css.peeked)}
      data-id={row.request_id}
    >
      <span role="gridcell" className={classes(shared.mark, css.mark)}>
        <input
          type="checkbox"
          tabIndex={-1}
          checked={isMarked}
          aria-label={`Mark the request of ${timeOfDay(row.timestamp)}`}
          onChange={() => onMark(row)}
        />
      </span>
      <span role="gridcell" className={shared.state}>
        <StatusMark status={row.status} />
      </span>
      <span role="gridcell" className={shared.time}>
        <time title={exactTime(row.timestamp)}>{timeOfDay(row.timestamp)}</time>
      </span>
      <span role="gridcell" className={shared.model}>
        <ModelName row={row} />
      </span>
      <span role="gridcell" className={shared.question}>
        <Link
          to="/requests/$id"
          params={{ id: row.request_id }}
          preload={false}
          data-row
          data-request={row.request_id}
          tabIndex={isStop ? 0 : -1}
          className={css.link}
        >
          <Question row={row} preview={preview} />
          <span className="visually-hidden">{statusWords(row.status)}</span>
        </Link>
      </span>
      {COLUMNS.filter(({ name }) => columns.includes(name)).map(({ name, value }) => (
        <span key={name} role="gridcell" className={classes(shared.figure, shared[name])}>
          {value(row)}
        </span>
      ))}
    </div>
  );
});

export function GridHead({ columns }: { columns: ColumnName[] }) {
  return (
    <div role="row" aria-rowindex={1} className={shared.head}>
      <span role="columnheader">
        <span className="visually-hidden">Mark</span>
      </span>
      <span role="columnheader">State</span>
      <span role="columnheader">Time</span>
      <span role="columnheader">Model</span>
      <span role="columnheader">Question</span>
      {COLUMNS.filter(({ name }) => columns.includes(name)).map(({ name, title, about }) => (
        <span key={name} role="columnheader" title={about} className={classes(shared.figure, shared[name])}>
          {title}
        </span>
      ))}
    </div>
  );
}
