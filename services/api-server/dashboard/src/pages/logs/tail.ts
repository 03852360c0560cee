/** The lines of a log that a page holds. Pure. */

export type Level = "error" | "warn" | "info" | "debug" | "trace";

export interface LogLine {
  /** Counted from the first line of this page, so that it stays the same when old lines are dropped. */
  id: number;
  raw: string;
  /** Service in front of the line, in the combined log. */
  service: string | null;
  time: string | null;
  level: Level | null;
  /** The text behind time and level. */
  text: string;
  /** Whether it marks lines that are not here. */
  gap: boolean;
}

export interface Tail {
  lines: LogLine[];
  next: number;
}

/** Maximum lines that are held. */
export const MAX_LINES = 50_000;

export const EMPTY: Tail = { lines: [], next: 0 };

const LINE = /^(?:\[([a-z-]+)\] )?(\d{4}-\d\d-\d\dT\S+)\s+(ERROR|WARN|INFO|DEBUG|TRACE)\s+(.*)$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
const ANSI = /\u001b\[[0-9;]*m/g;

/** Reads one line, as the services write it. */
export function parseLine(raw: string, id: number): LogLine {
  const plain = raw.replace(ANSI, "");
  const match = LINE.exec(plain);
  if (match) {
    return {
      id,
      raw: plain,
      service: match[1] ?? null,
      time: match[2]!,
      level: match[3]!.toLowerCase() as Level,
      text: match[4]!,
      gap: false,
    };
  }
  const prefix = /^\[([a-z-]+)\] /.exec(plain);
  return {
    id,
    raw: plain,
    service: prefix?.[1] ?? null,
    time: null,
    level: null,
    text: plain.slice(prefix?.[0].length ?? 0),
    gap: false,
  };
}

/** Appends lines; `missed` counts those that were left out before them. */
export function append(tail: Tail, raw: string[], missed: number): Tail {
  if (raw.length === 0 && missed === 0) return tail;
  let { next } = tail;
  const added: LogLine[] = [];
  if (missed > 0) added.push(gap(next++, `${missed} lines were too fast for this page`));
  for (const line of raw) added.push(parseLine(line, next++));
  const lines = [...tail.lines, ...added];
  return { lines: lines.length > MAX_LINES ? lines.slice(-MAX_LINES) : lines, next };
}

/**
 * Appends the last lines of a log after a new subscription. What is here already is not repeated; where the two do not
 * meet, a gap is marked.
 */
export function rejoin(tail: Tail, history: string[]): Tail {
  const last = tail.lines.findLast((line) => !line.gap);
  if (!last) return append(tail, history, 0);
  const at = history.map((line) => line.replace(ANSI, "")).lastIndexOf(last.raw);
  if (at !== -1) return append(tail, history.slice(at + 1), 0);
  const marked = {
    lines: [...tail.lines, gap(tail.next, "lines are missing here: the connection was lost")],
    next: tail.next + 1,
  };
  return append(marked, history, 0);
}

function gap(id: number, text: string): LogLine {
  return { id, raw: text, service: null, time: null, level: null, text, gap: true };
}

const ORDER: Level[] = ["error", "warn", "info", "debug", "trace"];

/** Returns the lines of at least this importance. Lines without a level belong to the one before them. */
export function atLeast(lines: LogLine[], level: Level | undefined): LogLine[] {
  if (level === undefined) return lines;
  const limit = ORDER.indexOf(level);
  let shown = true;
  return lines.filter((line) => {
    if (line.level !== null) shown = ORDER.indexOf(line.level) <= limit;
    return line.gap || shown;
  });
}

/** Returns the positions of the lines that have a text in them, ignoring case. */
export function find(lines: LogLine[], wanted: string): number[] {
  const needle = wanted.toLowerCase();
  return needle === "" ? [] : lines.flatMap((line, at) => (line.raw.toLowerCase().includes(needle) ? [at] : []));
}
