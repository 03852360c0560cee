/** Rows as text, in the forms of the export of the server. Pure. */

import type { ExportFormat, RequestRow } from "../../api/request-list";

/** The columns of a table. */
const COLUMNS = [
  "id",
  "request_id",
  "session_id",
  "timestamp",
  "method",
  "path",
  "model",
  "stream",
  "status",
  "provider_id",
  "key_id",
  "prompt_tokens",
  "completion_tokens",
  "total_tokens",
  "cost_nanos",
  "first_byte_ms",
  "duration_ms",
  "attempts",
  "truncated",
  "status_code",
  "finish_reason",
  "error",
  "request_bytes",
  "response_bytes",
  "replay_of",
] as const satisfies (keyof RequestRow)[];

/** Returns rows as JSON lines or as comma-separated values. */
export function rowsAs(format: ExportFormat, rows: RequestRow[]): string {
  if (format === "ndjson") return rows.map(({ preview: _, ...row }) => `${JSON.stringify(row)}\n`).join("");
  const lines = rows.map((row) => COLUMNS.map((name) => cell(row[name])).join(","));
  return [COLUMNS.join(","), ...lines, ""].join("\r\n");
}

/** Returns a value as a cell. A text that a spreadsheet would take for a formula gets a quote before it. */
export function cell(value: string | number | boolean | null | undefined): string {
  if (typeof value !== "string") return value == null ? "" : String(value);
  const isFormula = /^[=+\-@\t\r]/.test(value);
  if (!isFormula && !/[,"\r\n]/.test(value)) return value;
  return `"${isFormula ? "'" : ""}${value.replaceAll('"', '""')}"`;
}
