/** The figures of a range by provider, model, client key or status. */

import { Link } from "@tanstack/react-router";
import type { TopRow } from "../../api/usage";
import { count, dollars, percent, short } from "../../format/numbers";
import type { FixedRange } from "../../format/ranges";
import { duration } from "../../format/time";
import { Card, Table } from "../../parts/layout";
import { changeOf, filtersOf, labelOf } from "./charts";
import type { Split } from "./search";

/** Title of the table, and of its first column. */
const SUBJECTS: Record<Split, [string, string]> = {
  provider: ["Providers", "Provider"],
  model: ["Models", "Model"],
  key: ["Client keys", "Client key"],
  status: ["Statuses", "Status"],
};

interface RowsProps {
  by: Split;
  rows: TopRow[];
  /** Those of the period before. */
  before: TopRow[] | null;
  ends: FixedRange;
}

export function Rows({ by, rows, before, ends }: RowsProps) {
  const [subjects, subject] = SUBJECTS[by];
  return (
    <Card flush title={subjects}>
      <Table
        label={subjects}
        head={
          <>
            <th>{subject}</th>
            <th className="numeric">Requests</th>
            {before && <th className="numeric">Before</th>}
            <th className="numeric">Errors</th>
            <th className="numeric">p50</th>
            <th className="numeric">p95</th>
            <th className="numeric">First token, p50</th>
            <th className="numeric">Tokens</th>
            <th className="numeric">Cost</th>
          </>
        }
      >
        {rows.map((row) => (
          <tr key={row.key}>
            <td className="break">
              {row.key === "" ? (
                <span className="muted">{labelOf("", true)}</span>
              ) : (
                <Link to="/requests" search={{ ...filtersOf(by, row.key), ...ends }} data-row>
                  {row.name ?? row.key}
                </Link>
              )}
            </td>
            <td className="numeric" data-label="Requests">
              {count(row.requests)}
            </td>
            {before && <Before row={row} before={before.find(({ key }) => key === row.key)} />}
            <td className="numeric" data-label="Errors">
              {percent((100 * row.errors) / Math.max(1, row.requests))}
            </td>
            <td className="numeric" data-label="p50">
              {duration(row.p50)}
            </td>
            <td className="numeric" data-label="p95">
              {duration(row.p95)}
            </td>
            <td className="numeric" data-label="First token, p50">
              {duration(row.ttft50)}
            </td>
            <td className="numeric" data-label="Tokens">
              {short(row.prompt + row.completion)}
            </td>
            <td className="numeric" data-label="Cost">
              {dollars(row.cost_nano / 1e9)}
            </td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}

function Before({ row, before }: { row: TopRow; before: TopRow | undefined }) {
  const requests = before?.requests ?? 0;
  const change = changeOf(row.requests, requests);
  return (
    <td className="numeric" data-label="Before">
      {count(requests)} {change && <span className="muted">{change}</span>}
    </td>
  );
}
