/** An answer that arrives, as blocks that do not change any more, and the rest of it. Pure. */

const FENCE = /^ {0,3}(```+|~~~+)/;

/** Splits a text at the empty lines that are outside of code. Blocks that are complete stay the same as it grows. */
export function blocksOf(text: string): { settled: string[]; rest: string } {
  const settled: string[] = [];
  let fence = "";
  let from = 0;
  let at = 0;
  for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", at)) {
    const line = text.slice(at, end);
    at = end + 1;
    const mark = FENCE.exec(line)?.[1] ?? "";
    if (fence === "") fence = mark;
    else if (mark.startsWith(fence)) fence = "";
    if (fence !== "" || line.trim() !== "") continue;
    const block = text.slice(from, at);
    if (block.trim() !== "") settled.push(block);
    from = at;
  }
  return { settled, rest: text.slice(from) };
}
