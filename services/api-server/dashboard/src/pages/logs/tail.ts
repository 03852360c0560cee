/** The lines of a log that a page holds. Pure. */

export type Level = "error" | "warn" | "info" | "debug" | "trace";

export interface LogLine {
  /** Grows from line to line, and stays the same when lines are added before it or old ones are dropped. */
  id: number;
  raw: string;
  /** The line with its escape sequences, if it has any. */
  coloured: string | null;
  /** Service in front of the line, in the combined log. */
  service: string | null;
  time: string | null;
  level: Level | null;
  /** The text behind time and level. */
  text: string;
  /** Whether it marks lines that are not here. */
  gap: boolean;
}

/** What is shown of a log. */
export interface Filter {
  /** Least important level. */
  level?: Level | undefined;
  /** Text that a line has, in whatever case. */
  q?: string | undefined;
}

export interface Tail {
  lines: LogLine[];
  /** Id of the next new line. */
  next: number;
  /** Characters of all lines. */
  size: number;
  /** Whether old lines were dropped, so that no earlier ones can be put before the first one. */
  dropped: boolean;
  /** Whether lines without a level are shown: they belong to the one before them. */
  open: boolean;
}

/** Maximum lines that are held. */
export const MAX_LINES = 50_000;
/** Maximum characters that are held. */
export const MAX_SIZE = 10_000_000;

export const EMPTY: Tail = { lines: [], next: 0, size: 0, dropped: false, open: true };

const LINE = /^(?:\[([a-z0-9-]+)\] )?(\d{4}-\d\d-\d\dT\S+)\s+(ERROR|WARN|INFO|DEBUG|TRACE)\s+(.*)$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
const ANSI = /\u001b\[[0-9;]*m/g;

/** Reads one line, as the services write it. */
export function parseLine(written: string, id: number): LogLine {
  const raw = written.replace(ANSI, "");
  const line = { id, raw, coloured: raw === written ? null : written, gap: false };
  const match = LINE.exec(raw);
  if (match) {
    const [, service = null, time = "", level = "", text = ""] = match;
    return { ...line, service, time, level: level.toLowerCase() as Level, text };
  }
  const prefix = /^\[([a-z0-9-]+)\] /.exec(raw);
  const text = raw.slice(prefix?.[0].length ?? 0);
  return { ...line, service: prefix?.[1] ?? null, ...(fromJson(text) ?? { time: null, level: null, text }) };
}

const LEVELS: readonly unknown[] = ["error", "warn", "info", "debug", "trace"] satisfies Level[];

/** Reads a line of the JSON format; `null` if it is none. */
function fromJson(text: string): Pick<LogLine, "time" | "level" | "text"> | null {
  if (!text.startsWith("{")) return null;
  try {
    const { timestamp, level, target, message, ...fields } = JSON.parse(text) as Record<string, unknown>;
    const word = String(level).toLowerCase();
    if (typeof timestamp !== "string" || !LEVELS.includes(word)) return null;
    const rest = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
    const shown = [typeof target === "string" ? `${target}:` : "", typeof message === "string" ? message : "", ...rest];
    return { time: timestamp, level: word as Level, text: shown.filter(Boolean).join(" ") };
  } catch {
    return null;
  }
}

/** Appends the new lines that match; `missed` counts those that were left out before them. */
export function append(tail: Tail, raw: string[], missed: number, filter: Filter = {}): Tail {
  if (raw.length === 0 && missed === 0) return tail;
  let { next } = tail;
  const added: LogLine[] = [];
  if (missed > 0) added.push(gap(next++, `${missed} lines were too fast for this page`));
  const { lines, open } = matching(
    raw.map((line) => parseLine(line, next++)),
    filter,
    tail.open,
  );
  added.push(...lines);
  return bounded({ ...tail, next, open, lines: [...tail.lines, ...added], size: tail.size + sizeOf(added) });
}

/** Puts earlier lines before the others. There is room for them as long as {@link hasRoom} says so. */
export function prepend(tail: Tail, raw: string[]): Tail {
  const first = tail.lines[0]?.id ?? tail.next;
  const added = raw.map((line, at) => parseLine(line, first - raw.length + at));
  return { ...tail, lines: [...added, ...tail.lines], size: tail.size + sizeOf(added) };
}

/** Returns whether earlier lines may be put before the others. */
export function hasRoom({ lines, size, dropped }: Tail): boolean {
  return !dropped && lines.length < MAX_LINES && size < MAX_SIZE;
}

/**
 * Appends the last lines of a log, as they are read after a connection. What is here already is not repeated; where the
 * two do not meet, a gap is marked, unless the lines before were filtered: then the last one may be old.
 */
export function rejoin(tail: Tail, history: string[], { filter = {}, sparse = false } = {} as Joining): Tail {
  const last = tail.lines.findLast((line) => !line.gap);
  if (!last) return append(tail, history, 0, filter);
  const at = history.map((line) => line.replace(ANSI, "")).lastIndexOf(last.raw);
  if (at !== -1) return append(tail, history.slice(at + 1), 0, filter);
  if (sparse) return append(tail, history.slice(laterThan(history, last.time)), 0, filter);
  const mark = gap(tail.next, "lines are missing here: the connection was lost");
  const marked = { ...tail, lines: [...tail.lines, mark], next: tail.next + 1, size: tail.size + mark.raw.length };
  return append(marked, history, 0, filter);
}

interface Joining {
  filter?: Filter;
  /** Whether the lines before are filtered ones, so that they need not be the last ones of the log. */
  sparse?: boolean;
}

/** Returns the position of the first line that was written after a time. */
function laterThan(history: string[], time: string | null): number {
  if (time === null) return 0;
  const at = history.findIndex((line) => (parseLine(line, 0).time ?? "") > time);
  return at === -1 ? history.length : at;
}

function gap(id: number, text: string): LogLine {
  return { id, raw: text, coloured: null, service: null, time: null, level: null, text, gap: true };
}

const sizeOf = (lines: LogLine[]) => lines.reduce((sum, line) => sum + line.raw.length, 0);

/** Drops the oldest lines that are too many. The newest one stays, however long it is. */
export function bounded(tail: Tail, most = MAX_LINES, maxSize = MAX_SIZE): Tail {
  const { lines } = tail;
  let { size } = tail;
  let from = Math.max(0, lines.length - most);
  size -= sizeOf(lines.slice(0, from));
  while (size > maxSize && from < lines.length - 1) {
    size -= lines[from]!.raw.length;
    from += 1;
  }
  return from === 0 ? tail : { ...tail, lines: lines.slice(from), size, dropped: true };
}

const ORDER: Level[] = ["error", "warn", "info", "debug", "trace"];

/** Returns the lines that match. Those without a level belong to the one before them; `open` is whether that is shown. */
function matching(lines: LogLine[], { level, q }: Filter, open: boolean): { lines: LogLine[]; open: boolean } {
  const limit = level === undefined ? ORDER.length : ORDER.indexOf(level);
  const needle = q?.toLowerCase() ?? "";
  let shown = open;
  const found = lines.filter((line) => {
    if (line.level !== null) shown = ORDER.indexOf(line.level) <= limit;
    return shown && (needle === "" || line.raw.toLowerCase().includes(needle));
  });
  return { lines: found, open: shown };
}
