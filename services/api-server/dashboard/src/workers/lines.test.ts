import { describe, expect, it } from "vitest";
import { findLines, foldsBelow, lineAt, linesOf, unfoldedFor, visibleLines } from "./lines";
import { Reader, Refused } from "./reader";

const all = (text: string, pretty: boolean) => {
  const lines = linesOf(text, pretty);
  return Array.from({ length: lines.offsets.length - 1 }, (_, at) => lineAt(lines, at));
};

describe("lines", () => {
  it("joined are the text", () => {
    for (const text of ["", "a", "\n", "a\nb", "a\n\nb\n", "ä\r\n🙂\n", '{ "a":1e400}'])
      expect(all(text, false).join("\n")).toBe(text);
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

describe("folds", () => {
  // 0 {  1 "a": [  2 {  3 "b": "}"  4 }  5 ],  6 "c": {},  7 "d": "["  8 }
  const lines = linesOf(JSON.stringify({ a: [{ b: "}" }], c: {}, d: "[" }), true);
  const total = lines.offsets.length - 1;

  it("end at the bracket that closes them, whatever the texts are", () => {
    expect([...lines.closes]).toEqual([8, 5, 4, 0, 0, 0, 0, 0, 0]);
    expect(linesOf("not JSON {\n}", true).closes).toHaveLength(0);
  });

  it("hide the lines in them", () => {
    expect(visibleLines(lines.closes, total, new Set())).toBeNull();
    expect([...visibleLines(lines.closes, total, new Set([1]))!]).toEqual([0, 1, 6, 7, 8]);
    expect([...visibleLines(lines.closes, total, new Set([0, 1]))!]).toEqual([0]);
  });

  it("leave so many levels open", () => {
    expect([1, 2, 3].map((levels) => [...foldsBelow(lines.closes, levels)])).toEqual([[1], [2], []]);
  });

  it("open for a line in them", () => {
    const folded = new Set([1]);
    expect([...unfoldedFor(lines.closes, folded, 3)]).toEqual([]);
    expect(unfoldedFor(lines.closes, folded, 7)).toBe(folded);
    expect(unfoldedFor(lines.closes, folded, 1)).toBe(folded);
  });
});

describe("a reader", () => {
  const serving = async (response: Response) => {
    const reader = new Reader();
    const fetched = globalThis.fetch;
    globalThis.fetch = async () => response;
    try {
      return { reader, opened: await reader.open({ url: "http://a/b" }) };
    } finally {
      globalThis.fetch = fetched;
    }
  };

  it("keeps a text as it is", async () => {
    const text = '\ufeff{ "a": 1.0 }\r\n';
    const { reader, opened } = await serving(new Response(text, { headers: { "x-signalbox-as-asked": "true" } }));
    expect([reader.text(), opened]).toEqual([text, { bytes: 17, isTooLarge: false, isAsAsked: true }]);
  });

  it("does not read what is too large", async () => {
    const { reader, opened } = await serving(new Response("x", { headers: { "content-length": "20000001" } }));
    expect([reader.text(), opened.isTooLarge, opened.bytes]).toEqual(["", true, 20_000_001]);
  });

  it("reports what a server refuses", async () => {
    const refused = serving(new Response("no", { status: 404, headers: { "x-request-id": "r" } }));
    await expect(refused).rejects.toThrow(Refused);
    await expect(refused).rejects.toMatchObject({ refusal: { status: 404, body: "no", requestId: "r" } });
  });

  it("finds the messages of both bodies", async () => {
    const reader = new Reader();
    await reader.open({
      text: JSON.stringify({ model: "a", tools: [{ name: "look" }], messages: [{ role: "user", content: "hi" }] }),
    });
    const { messages, tools, fields } = reader.conversation("asked");
    expect([messages.length, tools[0]?.name, fields]).toEqual([1, "look", { model: "a" }]);
    await reader.open({ text: "no JSON" });
    expect(reader.conversation("answered")).toEqual({ messages: [], tools: [], fields: {} });
  });
});
