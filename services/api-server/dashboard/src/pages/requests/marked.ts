/** The export of marked rows. The server writes them, as it does those of a list. */

import { send } from "../../api/client";
import { type ExportFormat, exportUrl, type RequestRow } from "../../api/request-list";

/** Maximum times that are asked for at once. */
const AT_ONCE = 4;

type Marked = Pick<RequestRow, "id" | "timestamp">;

/** Returns the marked rows as a file, and how many of them the log still has. */
export async function exportOf(
  rows: readonly Marked[],
  format: ExportFormat,
): Promise<{ text: string; found: number }> {
  // An export selects by time: that of each row, in which there are hardly others.
  const times = [...new Set(rows.map(({ timestamp }) => timestamp))].sort((a, b) => b - a);
  const ids = new Set(rows.map(({ id }) => id));
  const texts: string[] = [];
  for (let at = 0; at < times.length; at += AT_ONCE) {
    const urls = times.slice(at, at + AT_ONCE).map((time) => exportUrl({ from: time, to: time }, format, time));
    texts.push(...(await Promise.all(urls.map(async (url) => await (await send(url)).text()))));
  }
  const selected = texts.flatMap((text) => recordsOf(text, format)).filter((record) => ids.has(idOf(record, format)));
  const head = format === "csv" ? recordsOf(texts[0] ?? "", format).slice(0, 1) : [];
  return { text: [...head, ...selected].join(""), found: selected.length };
}

/** Returns the lines of an export, each with its end. In CSV, a quoted cell may have several lines. */
export function recordsOf(text: string, format: ExportFormat): string[] {
  return text.match(format === "csv" ? /(?:"[^"]*"|[^"\n])+\n/g : /[^\n]+\n/g) ?? [];
}

/** Returns the number of the row that a line is about; `NaN` for the head of a table. */
export function idOf(record: string, format: ExportFormat): number {
  return Number(format === "csv" ? record.slice(0, record.indexOf(",")) : (JSON.parse(record) as Marked).id);
}
