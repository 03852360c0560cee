/** Reading of stored lines: the newest ones that match, and those before them. */

import { send } from "../../api/client";
import { address } from "../../app/base";
import type { Filter } from "./tail";

export interface LogPage {
  /** Lines as they were written, the oldest first. */
  lines: string[];
  /** What the lines before these are asked for with; `null` if there are none. */
  before: string | null;
}

/** Lines of one page. */
export const PAGE_LINES = 500;

/** A time after all lines, in milliseconds: a page before it says what the page before itself is asked for with. */
const NEWEST = "9999999999999";

/** Returns the path of a request for lines. They are asked for as they were written, to be joined with live ones. */
export function pathOf(service: string, { level, q }: Filter, before: string | null): string {
  const query = new URLSearchParams({ lines: String(PAGE_LINES), before: before ?? NEWEST });
  for (const [name, value] of Object.entries({ level, q })) {
    if (value) query.set(name, value);
  }
  return `/api/logs/${encodeURIComponent(service)}?${query}`;
}

export async function readLog(
  service: string,
  filter: Filter,
  before: string | null,
  signal: AbortSignal,
): Promise<LogPage> {
  const response = await send(pathOf(service, filter, before), { signal });
  return pageFrom(await response.json());
}

/** Reads an answer. Lines that are not understood are left out. */
export function pageFrom(answer: unknown): LogPage {
  const { lines, before } = record(answer);
  const texts = (Array.isArray(lines) ? lines : []).filter((line) => typeof line === "string");
  return { lines: texts, before: typeof before === "string" ? before : null };
}

/** Returns the address of the whole log, as a file. */
export function downloadAddress(service: string): string {
  return address(`/api/logs/${encodeURIComponent(service)}/download`);
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
