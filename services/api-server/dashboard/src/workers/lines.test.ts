import { describe, expect, it } from "vitest";
import { findLines, lineAt, linesOf } from "./lines";

const all = (text: string, pretty: boolean) => {
  const lines = linesOf(text, pretty);
  return Array.from({ length: lines.offsets.length - 1 }, (_, at) => lineAt(lines, at));
};

describe("lines", () => {
  it("joined are the text", () => {
    for (const text of ["", "a", "\n", "a\nb", "a\n\nb\n", "ä\r\n🙂\n"]) expect(all(text, false).join("\n")).toBe(text);
  });

  it("of JSON are indented, and other text is left alone", () => {
    expect(all('{"a":[1,2]}', true)).toEqual(JSON.stringify({ a: [1, 2] }, null, 2).split("\n"));
    expect([linesOf('{"a":', true).isJson, all('{"a":', true)]).toEqual([false, ['{"a":']]);
  });

  it("are found by what is in them", () => {
    const lines = linesOf("One\ntwo\nnone", false);
    expect([findLines(lines, "ONE"), findLines(lines, ""), findLines(lines, "x"), findLines(lines, "o", 2)]).toEqual([
      [0, 2],
      [],
      [],
      [0, 1],
    ]);
  });
});
