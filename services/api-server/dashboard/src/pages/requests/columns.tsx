/** The columns of the list: what each shows, how wide it is, and which can be left out. */

import type { ReactNode } from "react";
import type { RequestRow } from "../../api/request-list";
import { count, dollars, short } from "../../format/numbers";
import { duration } from "../../format/time";
import { costOf } from "./request-cells";

export type ColumnName = "attempts" | "first" | "took" | "in" | "out" | "cost";

interface Column {
  name: ColumnName;
  title: string;
  /** What the figure is. */
  about: string;
  /** Width in pixels. */
  width: number;
  value: (row: RequestRow) => ReactNode;
}

/** Columns that can be left out, in their order. */
export const COLUMNS: Column[] = [
  {
    name: "attempts",
    title: "Tries",
    about: "Attempts, those at other providers included",
    width: 44,
    value: (row) => count(row.attempts),
  },
  {
    name: "first",
    title: "First",
    about: "Time to the first byte of the answer",
    width: 64,
    value: (row) => duration(row.first_byte_ms),
  },
  {
    name: "took",
    title: "Took",
    about: "Time to the end of the answer",
    width: 64,
    value: (row) => duration(row.duration_ms),
  },
  { name: "in", title: "In", about: "Tokens of the prompt", width: 44, value: (row) => short(row.prompt_tokens) },
  { name: "out", title: "Out", about: "Tokens of the answer", width: 44, value: (row) => short(row.completion_tokens) },
  { name: "cost", title: "Cost", about: "Cost; – if it is unknown", width: 60, value: (row) => dollars(costOf(row)) },
];

export const COLUMN_NAMES = COLUMNS.map(({ name }) => name);
export const USUAL_COLUMNS = COLUMN_NAMES.filter((name) => name !== "attempts");

/** Returns the columns of a grid: a mark, state, time, model and question, and the chosen ones. */
export function gridColumns(shown: Column[]): string {
  return ["18px 104px 112px minmax(90px, 150px) minmax(0, 1fr)", ...shown.map(({ width }) => `${width}px`)].join(" ");
}
