import { describe, expect, it, vi } from "vitest";
import { partsOf, splitAt } from "./colours";
import { pageFrom, pathOf, readLog } from "./read";
import { append, bounded, EMPTY, hasRoom, MAX_LINES, MAX_SIZE, parseLine, prepend, rejoin, type Tail } from "./tail";

const raws = ({ lines }: Tail) => lines.map(({ raw }) => raw);
const AT = "2026-11-30T03:11";

describe("lines", () => {
  it("are read one by one", () => {
    expect(parseLine(`[qwen-proxy] ${AT}:14.624087Z  INFO signalbox_access: access id=1`, 3)).toMatchObject({
      id: 3,
      service: "qwen-proxy",
      time: `${AT}:14.624087Z`,
      level: "info",
      text: "signalbox_access: access id=1",
      coloured: null,
    });
    expect(parseLine("[provider-router-2] panicked", 0)).toMatchObject({
      service: "provider-router-2",
      text: "panicked",
    });
    const json = { timestamp: `${AT}:14Z`, level: "WARN", message: "soon", days: 2, target: "a::b" };
    expect(parseLine(`[qwen-proxy] ${JSON.stringify(json)}`, 0)).toMatchObject({
      service: "qwen-proxy",
      time: `${AT}:14Z`,
      level: "warn",
      text: "a::b: soon days=2",
    });
    expect(["{", "{}", '{"timestamp":1}'].map((text) => parseLine(text, 0).text)).toEqual([
      "{",
      "{}",
      '{"timestamp":1}',
    ]);
    expect(parseLine("\u001b[31mred\u001b[0m", 0)).toMatchObject({ raw: "red", level: null });
  });

  it("are joined after a reconnection without repeating any", () => {
    const tail = append(EMPTY, ["a", "b"], 0);
    expect(raws(rejoin(tail, ["a", "b", "c"]))).toEqual(["a", "b", "c"]);
    expect(rejoin(tail, ["x"]).lines.map(({ gap }) => gap)).toEqual([false, false, true, false]);
    expect(rejoin(EMPTY, ["x"]).lines).toHaveLength(1);
  });

  it("are joined with filtered ones, of which the last may be old", () => {
    const filter = { q: "bad" };
    const tail = append(EMPTY, [`${AT}:14Z ERROR bad`], 0);
    const history = [`${AT}:13Z INFO bad before`, `${AT}:15Z INFO fine`, `${AT}:16Z INFO bad again`];
    const joined = rejoin(tail, history, { filter, sparse: true });
    expect(raws(joined)).toEqual([`${AT}:14Z ERROR bad`, `${AT}:16Z INFO bad again`]);
  });

  it("are counted where they were missed, and bounded", () => {
    expect(append(EMPTY, ["a"], 412).lines[0]).toMatchObject({
      gap: true,
      text: "412 lines were too fast for this page",
    });
    const five = append(EMPTY, ["1", "22", "333", "4444", "55555"], 0);
    const last = bounded(five, 2);
    expect([raws(last), last.lines[0]!.id, last.size, last.dropped]).toEqual([["4444", "55555"], 3, 9, true]);
    expect(raws(bounded(five, 5, 12))).toEqual(["333", "4444", "55555"]);
    expect(raws(bounded(five, 5, 1))).toEqual(["55555"]);
    expect(bounded(five, 5, 15)).toBe(five);
    expect([hasRoom(five), hasRoom(last), hasRoom({ ...five, size: MAX_SIZE })]).toEqual([true, false, false]);
    const full = append({ ...EMPTY, lines: Array(MAX_LINES).fill(five.lines[0]), size: MAX_LINES }, ["new"], 0);
    expect([full.lines.length, full.size, full.dropped]).toEqual([MAX_LINES, MAX_LINES + 2, true]);
  });

  it("go before the others without moving them", () => {
    const tail = append(EMPTY, ["c", "d"], 0);
    const longer = prepend(prepend(tail, ["b"]), ["0", "a"]);
    expect(raws(longer)).toEqual(["0", "a", "b", "c", "d"]);
    expect(longer.lines.map(({ id }) => id)).toEqual([-3, -2, -1, 0, 1]);
    expect([longer.size, longer.next, hasRoom(longer)]).toEqual([5, 2, true]);
    expect(raws(append(longer, ["e"], 0)).at(-1)).toBe("e");
  });

  it("that are live are filtered as the stored ones are", () => {
    const written = [`${AT}:14Z ERROR bad`, "  at x", `${AT}:14Z INFO fine`, "  more"];
    expect(raws(append(EMPTY, written, 0, { level: "warn" }))).toEqual([`${AT}:14Z ERROR bad`, "  at x"]);
    expect(raws(append(EMPTY, written, 0, { q: "FINE" }))).toEqual([`${AT}:14Z INFO fine`]);
    // A line without a level belongs to the one before it, also if that came earlier.
    const begun = append(EMPTY, written.slice(2, 3), 0, { level: "warn" });
    expect(raws(append(begun, ["  more"], 0, { level: "warn" }))).toEqual([]);
    expect(append(begun, ["  more"], 0, { level: "warn" }).next).toBe(2);
  });
});

describe("pages of a log", () => {
  it("are asked for with what is shown", () => {
    expect(pathOf("qwen-proxy", {}, null)).toBe("/api/logs/qwen-proxy?lines=500&before=9999999999999");
    expect(pathOf("combined", { level: "warn", q: "a&b" }, "1f-2-")).toBe(
      "/api/logs/combined?lines=500&before=1f-2-&level=warn&q=a%26b",
    );
  });

  it("are read from answers, whatever is in them", async () => {
    const lines = ["a", "b", 5, {}];
    expect(pageFrom({ lines, before: "c" })).toEqual({ lines: ["a", "b"], before: "c" });
    for (const answer of [null, [], {}, { lines: 1, before: 7 }])
      expect(pageFrom(answer)).toEqual({ lines: [], before: null });
    vi.spyOn(globalThis, "fetch").mockResolvedValueOnce(
      Response.json({ error: { message: "no log" } }, { status: 404 }),
    );
    const signal = new AbortController().signal;
    await expect(readLog("x", {}, null, signal)).rejects.toMatchObject({ message: "no log" });
  });
});

describe("colours", () => {
  it("are those of the terminal, as far as there are tokens", () => {
    const parts = partsOf("a\u001b[1;31mb\u001b[22mc\u001b[39md\u001b[90me\u001b[0mf");
    expect(parts.map(({ text, colour, bold }) => [text, colour, bold])).toEqual([
      ["a", null, false],
      ["b", "red", true],
      ["c", "red", false],
      ["d", null, false],
      ["e", "grey", false],
      ["f", null, false],
    ]);
    const colourOf = (codes: string) => partsOf(`\u001b[${codes}mx`)[0]!.colour;
    expect(["38;5;1", "38;5;196", "38;2;1;2;3", "48;5;1", "48;2;1;31;32", "97", ""].map(colourOf)).toEqual([
      "red",
      null,
      null,
      null,
      null,
      null,
      null,
    ]);
    expect(
      partsOf("\u001b[4m\u001b[3mx\u001b[24m\u001b[23my").map(({ italic, underlined }) => [italic, underlined]),
    ).toEqual([
      [true, true],
      [false, false],
    ]);
  });

  it("begin behind what is shown in another way", () => {
    const line = `\u001b[2m${AT}:14Z\u001b[0m \u001b[32m INFO\u001b[0m \u001b[33mhot\u001b[0m end`;
    const { raw, text, coloured } = parseLine(line, 0);
    expect(partsOf(coloured!, raw.length - text.length).map(({ text, colour }) => [text, colour])).toEqual([
      ["hot", "yellow"],
      [" end", null],
    ]);
  });

  it("leave what is searched to be marked", () => {
    expect(splitAt("An error, an ERROR", "error")).toEqual(["An ", "error", ", an ", "ERROR", ""]);
    expect([splitAt("x", ""), splitAt("x", "y"), splitAt("İx", "x")]).toEqual([["x"], ["x"], ["İx"]]);
  });
});
