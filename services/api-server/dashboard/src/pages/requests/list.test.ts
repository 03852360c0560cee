import { describe, expect, it, vi } from "vitest";
import { fineStep, isSummed } from "../../api/request-figures";
import { exportUrl, parametersOf, type RequestRow, type RowPage, rangeOf, timeOf } from "../../api/request-list";
import { chosenWords, withChosen } from "./choice";
import { barsOf, percentile, sumsOfAll, sumsOfRows } from "./figures";
import { changed, defined, filterWords, milliseconds, rangeWords, withoutFilters } from "./filter-words";
import { keyMove } from "./grid-keys";
import { ordered } from "./histogram";
import { rowsShown } from "./in-flight-rows";
import { parseKept } from "./kept";
import { isLeft } from "./last-list";
import { newsWords } from "./list-summary";
import { exportOf, idOf, recordsOf } from "./marked";
import { removeAll } from "./marked-actions";
import { toggled } from "./request-list";
import { isFiltered, requestsSearch } from "./search";
import { anchorFor, learn, loadedOf, needOf, pagesWithin } from "./window";

const HOUR = 3_600_000;
const row = (id: number, more: Partial<RequestRow> = {}) =>
  ({ id, request_id: `r${id}`, status: "completed", error: null, ...more }) as RequestRow;
const page = (at: number, ids: number[], next: string | null = null) =>
  ({ at, requests: ids.map((id) => row(id)), searched: 0, next_cursor: next }) as RowPage;

describe("the address of the list", () => {
  it("has one value or several, and drops what is not understood", () => {
    expect(
      defined(requestsSearch({ model: ["a", "b", "a"], status: ["failed"], provider: 5, min_ms: "-1", range: "2y" })),
    ).toEqual({ model: ["a", "b"], status: "failed", provider: "5" });
    expect(defined(requestsSearch({ min_ms: "1500.4", range: "any", at: "7", has_error: "true" }))).toEqual({
      min_ms: 1500,
      range: "any",
      at: 7,
      has_error: true,
    });
    expect(requestsSearch({ model: Array.from({ length: 80 }, (_, n) => `m${n}`) }).model).toHaveLength(50);
  });

  it("means the last 24 hours by default, but all of a session", () => {
    expect([rangeOf({}), rangeOf({ session: "s" }), rangeOf({ to: 5 }), rangeOf({ from: 1, range: "7d" })]).toEqual([
      "24h",
      "any",
      undefined,
      "7d",
    ]);
    expect([timeOf({}, 25 * HOUR), timeOf({ range: "any" }, 1), timeOf({ to: 5 }, 1)]).toEqual([
      { from: HOUR },
      {},
      { to: 5 },
    ]);
  });

  it("forgets the place in the list when filters change", () => {
    const search = { model: "m", at: 5, peek: "x", range: "7d" as const };
    expect(changed(search, { status: ["failed", "truncated"] })).toEqual({
      model: "m",
      range: "7d",
      status: ["failed", "truncated"],
    });
    expect(changed(search, { at: 9 })).toEqual({ model: "m", range: "7d", at: 9 });
    expect(withoutFilters(search)).toEqual({ range: "7d" });
    expect([isFiltered({ range: "7d", at: 1, peek: "x" }), isFiltered({ has_error: false })]).toEqual([false, true]);
  });
});

describe("filters", () => {
  it("are sent under the names of the API", () => {
    const filters = { model: ["a", "b"], provider: "p", key: "k", session: "s", has_error: false, min_ms: 0 };
    expect(defined(parametersOf({ ...filters, from: 1, to: 2 }, 9) as never)).toEqual({
      model: ["a", "b"],
      provider_id: ["p"],
      key: "k",
      session_id: "s",
      has_error: false,
      min_ms: 0,
      start_date: 1,
      end_date: 2,
    });
  });

  it("go with an export", () => {
    const url = exportUrl({ model: ["a&b", "c"], q: "x y", range: "1h" }, "csv", HOUR);
    expect(url).toBe("/api/requests/export?format=csv&q=x+y&model=a%26b&model=c&start_date=0");
  });

  it("are told in words, each with how it goes", () => {
    const words = filterWords(
      { q: "cat", status: ["failed", "client_disconnected"], key: "k", min_ms: 5000 },
      () => "ci",
    );
    expect(words.map(({ name, words }) => `${name}: ${words}`)).toEqual([
      "Text: “cat”",
      "State: failed, client left",
      "Key: ci",
      "Took: 5.0 s or more",
    ]);
    expect(words.map(({ without }) => Object.keys(without)[0])).toEqual(["q", "status", "key", "min_ms"]);
    expect([rangeWords({}), rangeWords({ range: "any" }), rangeWords({ from: 1 })]).toEqual([
      "the last 24 h",
      "all time",
      "this time",
    ]);
  });

  it("keep chosen values that no request has", () => {
    expect(withChosen([{ value: "a", requests: 2 }], ["gone", "a"])).toEqual([
      { value: "gone" },
      { value: "a", requests: 2 },
    ]);
    const label = (value: string) => value.toUpperCase();
    expect([[], ["a"], ["a", "b", "c"]].map((chosen) => chosenWords("Any", chosen, label))).toEqual([
      "Any",
      "A",
      "A + 2",
    ]);
  });

  it("read durations as they are typed", () => {
    expect(["5", "1.5 s", "1,5s", "800 ms", "2min", " 1 h ", "", "soon", "-1"].map(milliseconds)).toEqual([
      5000,
      1500,
      1500,
      800,
      120_000,
      HOUR,
      undefined,
      null,
      null,
    ]);
  });
});

describe("the window of the list", () => {
  it("loads what is missing at its ends, and elsewhere when it was left", () => {
    const loaded = loadedOf([
      page(50, [1, 2]),
      page(
        52,
        Array.from({ length: 100 }, (_, n) => n + 3),
      ),
    ]);
    expect([loaded.first, loaded.rows.length]).toEqual([50, 102]);
    const need = (start: number, end: number, more = true) => needOf(loaded, { start, end }, more);
    expect([need(80, 110), need(80, 145), need(80, 145, false), need(55, 80), need(0, 20)]).toEqual([
      null,
      "next",
      null,
      "previous",
      "elsewhere",
    ]);
    expect(needOf({ ...loaded, first: 0 }, { start: 0, end: 20 }, true)).toBeNull();
  });

  it("goes back by the cursors that it has learnt", () => {
    const known = new Map<number, string>();
    learn(known, [page(0, [1, 2], "c2"), page(2, [3], "c3"), page(3, [4])]);
    expect([...known]).toEqual([
      [2, "c2"],
      [3, "c3"],
    ]);
    expect([anchorFor(0, known), anchorFor(2, known), anchorFor(99, known)]).toEqual([
      { at: 0 },
      { at: 2, cursor: "c2" },
      { at: 3, cursor: "c3" },
    ]);
  });

  it("reads questions of visible pages only", () => {
    const pages = [page(0, [1, 2]), page(2, []), page(2, [3, 4]), page(4, [5])];
    expect(pagesWithin(pages, { start: 1, end: 2 })).toEqual([pages[0], pages[2]]);
    expect(pagesWithin(pages, { start: 4, end: 9 })).toEqual([pages[3]]);
  });

  it("moves by keys", () => {
    const to = (key: string) => keyMove(key)?.(10, 5, 2, 20);
    expect(["ArrowDown", "ArrowUp", "PageDown", "PageUp", "Home", "End", "a", "toString"].map(to)).toEqual([
      11,
      9,
      15,
      5,
      2,
      20,
      undefined,
      undefined,
    ]);
  });
});

describe("figures", () => {
  it("are sums of rows, in which unknown is not zero", () => {
    const rows = [
      row(1, { prompt_tokens: 5, completion_tokens: 2, cost_nanos: 1e9, duration_ms: 100 }),
      row(2, { error: "no", cost_nanos: null, duration_ms: 300 }),
      row(3, { status: "pending" }),
    ];
    expect(sumsOfRows(rows)).toEqual({
      requests: 3,
      failed: 1,
      prompt: 5,
      completion: 2,
      cost: 1,
      unpriced: 1,
      p50: 100,
      p95: 300,
      measured: 2,
    });
    expect([percentile([], 50), percentile([4, 1, 3, 2], 50), percentile([1, 2], 95)]).toEqual([null, 2, 2]);
  });

  it("of all requests come from the sums of the server", () => {
    const points = {
      t0: 0,
      step: 60_000,
      ends: { from: 30_000, to: 110_000 },
      requests: [3, 4],
      errors: [1, 0],
      prompt: [5, 5],
      completion: [1, 1],
      cost_nano: [1e9, 0],
    };
    const sums = sumsOfAll({ points, unpriced: 2, single: null }, [row(1, { duration_ms: 7 })]);
    expect(sums).toMatchObject({ requests: 7, failed: 1, prompt: 10, cost: 1, unpriced: 2, p50: 7, measured: 1 });
    const single = { p50: 8, p95: 9 } as never;
    expect(sumsOfAll({ points, unpriced: null, single }, [])).toMatchObject({ p50: 8, p95: 9, measured: null });
    expect(barsOf(points)).toEqual([
      { from: 30_000, to: 60_000, requests: 3, errors: 1 },
      { from: 60_000, to: 110_000, requests: 4, errors: 0 },
    ]);
    const many = barsOf({ ...points, requests: Array(720).fill(1), errors: Array(720).fill(0) });
    expect([many.length, many[0]!.requests]).toEqual([60, 12]);
  });

  it("have whole minutes, or whole hours where no minutes are kept", () => {
    const now = 100 * 24 * HOUR;
    expect(
      [
        [now - HOUR, now],
        [now - 24 * HOUR, now],
        [now - 7 * 24 * HOUR, now],
        [now - 60 * 24 * HOUR, now - 60 * 24 * HOUR + HOUR],
      ].map(([from, to]) => fineStep({ from: from!, to: to! }, now)),
    ).toEqual([60_000, 120_000, HOUR, HOUR]);
  });

  it("know models, providers and times only", () => {
    expect([{ model: "m", range: "1h" as const }, { from: 1 }, { q: "x" }, { has_error: false }].map(isSummed)).toEqual(
      [true, true, false, false],
    );
  });

  it("are narrowed in either direction", () => {
    expect([ordered(2, 5), ordered(5, 2)]).toEqual([
      [2, 5],
      [2, 5],
    ]);
  });
});

describe("marked requests", () => {
  it("are marked and unmarked", () => {
    const once = toggled(new Map(), row(1));
    expect([...once.keys(), ...toggled(once, row(1)).keys()]).toEqual(["r1"]);
  });

  it("are exported by the server, each with the time at which it arrived", async () => {
    const head = "id,error\r\n";
    const lines: Record<string, string> = { 5: "7,none\r\n8,other\r\n", 6: '9,"says ""no"",\nand more"\r\n' };
    const fetched = vi.spyOn(globalThis, "fetch").mockImplementation(async (url) => {
      const query = new URL(String(url), "http://console").searchParams;
      expect(query.get("start_date")).toBe(query.get("end_date"));
      return new Response(head + lines[query.get("end_date") ?? ""]);
    });
    const rows = [row(9, { timestamp: 6 }), row(7, { timestamp: 5 }), row(4, { timestamp: 5 })];
    expect(await exportOf(rows, "csv")).toEqual({ text: `${head}${lines[6]}7,none\r\n`, found: 2 });
    expect(fetched).toHaveBeenCalledTimes(2);
  });

  it("are found in an export, whatever texts it has", () => {
    const csv = ["id,error\r\n", '1,"a ""b"",\r\n2,c"\r\n', "2,\r\n"];
    expect(recordsOf(csv.join(""), "csv")).toEqual(csv);
    expect(csv.map((line) => idOf(line, "csv"))).toEqual([Number.NaN, 1, 2]);
    const json = ['{"id":1,"error":"a\\nb"}\n', '{"id":2}\n'];
    expect(recordsOf(json.join(""), "ndjson")).toEqual(json);
    expect(json.map((line) => idOf(line, "ndjson"))).toEqual([1, 2]);
    expect(recordsOf("", "csv")).toEqual([]);
  });

  it("are deleted until one cannot be", async () => {
    const { Problem } = await import("../../api/problem");
    const remove = async (id: string) => {
      if (id === "gone") throw new Problem("not there", { status: 404 });
      if (id === "held") throw new Problem("no", { status: 503 });
    };
    const rows = ["a", "gone", "held", "b"].map((request_id) => ({ request_id }));
    const { gone, failure } = await removeAll(rows, remove);
    expect([gone, failure?.message]).toEqual([["a", "gone"], "no"]);
    expect((await removeAll(rows.slice(0, 2), remove)).failure).toBeNull();
  });
});

describe("the list beside its requests", () => {
  it("is the one that was left", () => {
    const left = { status: "failed", range: "7d" as const };
    expect([isLeft({}, left), isLeft({ range: "7d", status: "failed" }, left), isLeft({ range: "1h" }, left)]).toEqual([
      true,
      true,
      false,
    ]);
  });

  it("does not move for requests in flight while it is read", () => {
    expect([rowsShown(3, 0, false), rowsShown(3, 0, true), rowsShown(1, 3, true), rowsShown(99, 0, false)]).toEqual([
      3, 0, 1, 20,
    ]);
  });

  it("says what is new", () => {
    expect([newsWords(1200, false, 0), newsWords(3, true, 2), newsWords(3, true, 0)]).toEqual([
      "Show 1,200 new",
      "Show 2 new that match",
      "3 new in the log: look again",
    ]);
  });

  it("keeps choices, whatever others have written", () => {
    for (const stored of ["", "null", "[]", '{"range":"2y","columns":5,"figures":"no"}'])
      expect(parseKept(stored)).toEqual(parseKept(null));
    expect(parseKept('{"range":"7d","columns":["cost","x","first"],"inFlight":false}')).toEqual({
      range: "7d",
      columns: ["first", "cost"],
      inFlight: false,
      figures: true,
    });
  });
});
