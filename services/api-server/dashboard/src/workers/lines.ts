/** Pretty-printing, lines and folds of large texts. Pure: the worker calls it. */

/** Characters of a line that are shown; the rest is clipped. */
export const MAX_LINE = 2_000;
/** Lines that a search reports at most. */
export const MAX_FOUND = 10_000;

export interface Lines {
  text: string;
  /** Where each line begins, and the length of the text. */
  offsets: Uint32Array;
  /** For each line, the line that closes the bracket at its end; 0 if there is none. Empty for texts that are not folded. */
  closes: Uint32Array;
  /** Whether the text was JSON. */
  isJson: boolean;
}

/** Splits a text into lines, after pretty-printing it if it is JSON. */
export function linesOf(raw: string, pretty: boolean): Lines {
  const formatted = pretty ? prettyText(raw) : null;
  const text = formatted ?? raw;
  const offsets = offsetsOf(text);
  const closes = formatted === null ? new Uint32Array() : closesOf(text, offsets);
  return { text, offsets, closes, isJson: formatted !== null };
}

function prettyText(raw: string): string | null {
  try {
    return JSON.stringify(JSON.parse(raw), null, 2);
  } catch {
    return null;
  }
}

function offsetsOf(text: string): Uint32Array {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  starts.push(text.length + 1);
  return Uint32Array.from(starts);
}

const [OPEN_LIST, OPEN_OBJECT, CLOSE_LIST, CLOSE_OBJECT, SPACE] = [..."[{]} "].map((char) => char.charCodeAt(0));

/** Finds the end of each list and object in pretty-printed JSON, whose strings have no line breaks. */
function closesOf(text: string, offsets: Uint32Array): Uint32Array {
  const closes = new Uint32Array(offsets.length - 1);
  const open: number[] = [];
  for (let line = 0; line < closes.length; line++) {
    const end = offsets[line + 1]! - 2;
    let begin = offsets[line]!;
    while (text.charCodeAt(begin) === SPACE) begin++;
    const [first, last] = [text.charCodeAt(begin), text.charCodeAt(end)];
    if (first === CLOSE_LIST || first === CLOSE_OBJECT) closes[open.pop() ?? 0] = line;
    if (last === OPEN_LIST || last === OPEN_OBJECT) open.push(line);
  }
  return closes;
}

/** Returns a line without its break. */
export function lineAt({ text, offsets }: Pick<Lines, "text" | "offsets">, at: number): string {
  return text.slice(offsets[at], Math.max(offsets[at] ?? 0, (offsets[at + 1] ?? 0) - 1));
}

/** Returns the numbers of the lines that have a text in them, ignoring case, at most `max`. */
export function findLines(lines: Pick<Lines, "text" | "offsets">, wanted: string, max = MAX_FOUND): number[] {
  const needle = wanted.toLowerCase();
  if (needle === "") return [];
  const found: number[] = [];
  for (let at = 0; at < lines.offsets.length - 1 && found.length < max; at++) {
    if (lineAt(lines, at).toLowerCase().includes(needle)) found.push(at);
  }
  return found;
}

/** Returns the lines to show when some are folded. Of a folded one, the line that closes it is hidden, too. */
export function visibleLines(closes: Uint32Array, total: number, folded: ReadonlySet<number>): Uint32Array | null {
  if (folded.size === 0) return null;
  const shown = new Uint32Array(total);
  let count = 0;
  for (let line = 0; line < total; line++) {
    shown[count++] = line;
    if (folded.has(line)) line = Math.max(line, closes[line] ?? 0);
  }
  return shown.slice(0, count);
}

/** Returns the lines to fold so that only so many levels are open. */
export function foldsBelow(closes: Uint32Array, levels: number): Set<number> {
  const folded = new Set<number>();
  const ends: number[] = [];
  for (let line = 0; line < closes.length; line++) {
    while (ends.length > 0 && ends.at(-1)! < line) ends.pop();
    const close = closes[line]!;
    if (close === 0) continue;
    if (ends.length >= levels) {
      folded.add(line);
      line = close;
    } else ends.push(close);
  }
  return folded;
}

/** Returns the folded lines without those that hide a line. */
export function unfoldedFor(closes: Uint32Array, folded: ReadonlySet<number>, line: number): ReadonlySet<number> {
  const hiding = [...folded].filter((begin) => begin < line && line <= (closes[begin] ?? 0));
  if (hiding.length === 0) return folded;
  return new Set([...folded].filter((begin) => !hiding.includes(begin)));
}
