/** Sums of usage, and the bars that show them. */

import type { UsageRow } from "../../api/usage";
import type { Measure } from "./search";

export function measured(row: UsageRow, measure: Measure): number {
  switch (measure) {
    case "cost":
      return row.cost_usd;
    case "tokens":
      return row.prompt_tokens + row.completion_tokens;
    case "requests":
      return row.requests;
  }
}

export interface Bar {
  row: UsageRow;
  value: number;
  /** Part of the largest value, from 0 to 1. */
  part: number;
}

/** Returns the rows with their bars, the largest first. */
export function barsOf(rows: readonly UsageRow[], measure: Measure): Bar[] {
  const values = rows.map((row) => ({ row, value: measured(row, measure) }));
  const max = Math.max(0, ...values.map(({ value }) => value));
  return values
    .map(({ row, value }) => ({ row, value, part: max > 0 ? value / max : 0 }))
    .sort((a, b) => b.value - a.value);
}

export type Total = Omit<UsageRow, "name" | "key_id">;

/** Returns the sums over all rows. */
export function totalOf(rows: readonly UsageRow[]): Total {
  const total: Total = {
    requests: 0,
    errors: 0,
    prompt_tokens: 0,
    completion_tokens: 0,
    cost_usd: 0,
    unpriced: 0,
  };
  for (const row of rows) for (const name of Object.keys(total) as (keyof Total)[]) total[name] += row[name];
  return total;
}
