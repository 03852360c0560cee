import { describe, expect, it } from "vitest";
import { logsSearch } from "../pages/logs/search";
import { neighbourIn } from "../pages/requests/neighbours";
import { isFiltered, requestSearch, requestsSearch } from "../pages/requests/search";
import { baseFrom } from "./base";
import { matches, ranked, withRecent } from "./palette-match";
import { parsePreferences } from "./preferences";

describe("the path of a reverse proxy", () => {
  it("is that of the program, without its directory", () => {
    expect([
      baseFrom("http://localhost:3002/assets/index-1.js"),
      baseFrom("https://box.lan/signalbox/assets/index-1.js"),
      baseFrom("https://box.lan/a/assets/b/assets/index-1.js?v"),
    ]).toEqual(["/", "/signalbox/", "/a/assets/b/"]);
    // In development, and in tests.
    expect([baseFrom("http://localhost:4310/src/app/base.ts"), baseFrom("file:///x/base.ts")]).toEqual(["/", "/"]);
  });
});

describe("addresses", () => {
  it("keep what is understood, and drop the rest", () => {
    expect(
      requestsSearch({ q: 5, status: "failed", stream: "false", from: "1796008259265", to: "soon", other: 1 }),
    ).toEqual({
      q: "5",
      status: "failed",
      model: undefined,
      provider: undefined,
      session: undefined,
      stream: false,
      from: 1796008259265,
      to: undefined,
    });
    expect(requestSearch({ tab: "nothing", body: "sent" })).toEqual({ tab: undefined, body: "sent" });
    expect(logsSearch({ log: "nginx", level: "warn", q: "" })).toEqual({
      log: undefined,
      level: "warn",
      q: undefined,
    });
  });

  it("know whether they filter", () => {
    expect([isFiltered(requestsSearch({})), isFiltered(requestsSearch({ stream: false }))]).toEqual([false, true]);
  });
});

describe("the request before and after", () => {
  it("is the next row of the list", () => {
    const list = ["new", "mid", "old"].map((request_id) => ({ request_id }));
    expect([neighbourIn(list, "mid", 1), neighbourIn(list, "mid", -1)]).toEqual(["old", "new"]);
    expect([neighbourIn(list, "old", 1), neighbourIn(list, "new", -1), neighbourIn(list, "none", -1)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("preferences", () => {
  it("survive what others have written", () => {
    const byDefault = parsePreferences(null);
    for (const stored of ["", "null", "[]", "{", '"dark"', '{"theme":"pink","keys":"no"}'])
      expect(parsePreferences(stored)).toEqual(byDefault);
    expect(parsePreferences('{"theme":"dark","density":"compact","keys":false}')).toMatchObject({
      theme: "dark",
      density: "compact",
      keys: false,
      statusBar: true,
      utc: false,
    });
  });
});

describe("the palette", () => {
  it("has the recent choices first", () => {
    const entries = ["Logs", "Audit", "Doctor"].map((label) => ({ label, kind: "Page" }));
    const recent = withRecent(withRecent([], entries[2]!), entries[1]!);
    expect(withRecent(recent, entries[2]!)).toEqual(["Page: Doctor", "Page: Audit"]);
    const labels = (typed: string) =>
      ranked(entries, typed, recent).map(({ entry, isRecent }) => [entry.label, isRecent]);
    expect(labels("")).toEqual([
      ["Audit", true],
      ["Doctor", true],
      ["Logs", false],
    ]);
    expect(labels("page l")).toEqual([["Logs", false]]);
    const many = Array.from({ length: 9 }, (_, at) => ({ label: String(at), kind: "Page" }));
    expect(many.reduce<string[]>(withRecent, [])).toHaveLength(6);
  });

  it("finds words in any order", () => {
    expect([
      matches("Restart provider-router Command", "router rest"),
      matches("Logs Page", "logz"),
      matches("Logs", ""),
    ]).toEqual([true, false, true]);
  });
});
