/** Pretty-printing and line offsets of large texts. Pure: the worker calls it. */

/** Characters of a line that are shown; the rest is clipped. */
export const MAX_LINE = 2_000;

export interface Lines {
  text: string;
  /** Where each line begins, and the length of the text. */
  offsets: Uint32Array;
  /** Whether the text was JSON. */
  isJson: boolean;
}

/** Splits a text into lines, after pretty-printing it if it is JSON. */
export function linesOf(raw: string, pretty: boolean): Lines {
  let text = raw;
  let isJson = false;
  if (pretty) {
    try {
      text = JSON.stringify(JSON.parse(raw), null, 2);
      isJson = true;
    } catch {
      // Shown as it is.
    }
  }
  return { text, offsets: offsetsOf(text), isJson };
}

function offsetsOf(text: string): Uint32Array {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  starts.push(text.length + 1);
  return Uint32Array.from(starts);
}

/** Returns a line without its break. */
export function lineAt({ text, offsets }: Pick<Lines, "text" | "offsets">, at: number): string {
  return text.slice(offsets[at], Math.max(offsets[at] ?? 0, (offsets[at + 1] ?? 0) - 1));
}

/** Returns the numbers of the lines that have a text in them, ignoring case, at most `max`. */
export function findLines(lines: Pick<Lines, "text" | "offsets">, wanted: string, max = 10_000): number[] {
  const needle = wanted.toLowerCase();
  if (needle === "") return [];
  const found: number[] = [];
  for (let at = 0; at < lines.offsets.length - 1 && found.length < max; at++) {
    if (lineAt(lines, at).toLowerCase().includes(needle)) found.push(at);
  }
  return found;
}
