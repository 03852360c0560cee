/** Escape sequences of terminals as styled parts of a line. Pure. */

/** Names of the colours; each has a class of that name, made of tokens. */
export type Colour = "red" | "green" | "yellow" | "blue" | "magenta" | "cyan" | "grey";

export interface Part {
  text: string;
  colour: Colour | null;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underlined: boolean;
}

const PLAIN: Omit<Part, "text"> = { colour: null, bold: false, dim: false, italic: false, underlined: false };

/** The eight colours of terminals; black and white are the text's own, so that it can be read in both themes. */
const COLOURS: (Colour | null)[] = [null, "red", "green", "yellow", "blue", "magenta", "cyan", null];

/** Returns the parts of a line, without its first characters, which are shown in another way. */
export function partsOf(line: string, skipped = 0): Part[] {
  const parts: Part[] = [];
  let style = PLAIN;
  let left = skipped;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
  for (const piece of line.split(/(\u001b\[[0-9;]*m)/)) {
    if (piece.startsWith("\u001b[")) {
      style = styled(style, piece.slice(2, -1));
      continue;
    }
    const text = piece.slice(left);
    left = Math.max(0, left - piece.length);
    if (text !== "") parts.push({ text, ...style });
  }
  return parts;
}

function styled(style: typeof PLAIN, codes: string): typeof PLAIN {
  const list = codes.split(";").map(Number);
  let next = style;
  for (let at = 0; at < list.length; at += 1) {
    const code = list[at]!;
    if (code === 0) next = PLAIN;
    else if (code === 1) next = { ...next, bold: true };
    else if (code === 2) next = { ...next, dim: true };
    else if (code === 3) next = { ...next, italic: true };
    else if (code === 4) next = { ...next, underlined: true };
    else if (code === 22) next = { ...next, bold: false, dim: false };
    else if (code === 23) next = { ...next, italic: false };
    else if (code === 24) next = { ...next, underlined: false };
    else if (code === 39) next = { ...next, colour: null };
    else if (code === 90) next = { ...next, colour: "grey" };
    else if (code >= 30 && code <= 37) next = { ...next, colour: COLOURS[code - 30]! };
    else if (code > 90 && code <= 97) next = { ...next, colour: COLOURS[code - 90]! };
    else if (code === 38 || code === 48) {
      // One of 256 colours, or one of all.
      const extended = list[at + 1] === 5 ? list[at + 2] : undefined;
      if (code === 38 && extended !== undefined) next = { ...next, colour: extendedColour(extended) };
      at += list[at + 1] === 5 ? 2 : list[at + 1] === 2 ? 4 : 0;
    }
  }
  return next;
}

/** The first 16 of the 256 colours are those of terminals. Of the others, greys are known by their range. */
function extendedColour(number: number): Colour | null {
  if (number === 8 || (number >= 232 && number <= 250)) return "grey";
  return number < 16 ? COLOURS[number % 8]! : null;
}

/** Returns the parts of a text around each occurrence of another one, in whatever case; every second part is one. */
export function splitAt(text: string, wanted: string): string[] {
  const needle = wanted.toLowerCase();
  const lower = text.toLowerCase();
  // Some letters have another length in lower case.
  if (needle === "" || lower.length !== text.length) return [text];
  const parts: string[] = [];
  let from = 0;
  for (let at = lower.indexOf(needle); at !== -1; at = lower.indexOf(needle, from)) {
    parts.push(text.slice(from, at), text.slice(at, at + needle.length));
    from = at + needle.length;
  }
  return [...parts, text.slice(from)];
}
