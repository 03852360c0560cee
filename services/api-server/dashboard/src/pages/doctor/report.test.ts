import { describe, expect, it } from "vitest";
import { areasOf, asText, countOf, resultsOf } from "./report";

const answer = {
  checked_at: 5,
  checks: [
    { id: "disk.space", state: "ok", finding: "12 GB are free", remedy: null, link: null },
    { id: "provider.openai.key", state: "ok", finding: "a key is set" },
    { id: "provider.groq.key", state: "fail", finding: "no key", remedy: "Enter one.", link: "docs/providers.md" },
    { id: "route.fast", state: "warn", finding: "one target", remedy: "" },
    { id: "later.check", state: "unheard-of", finding: "?" },
  ],
};

const reportOf = (checks: unknown) => resultsOf({ running: false, checks }).report!;

describe("the report of the doctor", () => {
  it("has the worst areas and checks first", () => {
    const { checks } = reportOf(answer);
    expect(areasOf(checks).map(([area, list]) => [area, list.map(({ id }) => id)])).toEqual([
      ["provider", ["provider.groq.key", "provider.openai.key"]],
      ["route", ["route.fast"]],
      ["disk", ["disk.space"]],
      ["later", ["later.check"]],
    ]);
    expect([countOf(checks, "fail"), countOf(checks, "skipped")]).toEqual([1, 1]);
  });

  it("is read whatever is missing", () => {
    expect(reportOf(answer).checks[3]).toEqual({
      id: "route.fast",
      state: "warn",
      finding: "one target",
      remedy: null,
      link: null,
    });
    for (const odd of [{}, { checks: "none", checked_at: "now" }])
      expect(reportOf(odd)).toEqual({ checked_at: null, checks: [] });
    expect(reportOf({ checks: [null] }).checks[0]!.state).toBe("skipped");
    for (const odd of [null, "x", {}, { checks: null, scorecard: [] }])
      expect(resultsOf(odd)).toEqual({ running: false, report: null, scorecard: null });
  });

  it("can be sent to somebody as text", () => {
    const text = asText(reportOf(answer));
    expect(text.split("\n")[2]).toBe("fail    provider.groq.key: no key");
    expect(text).toContain("        Enter one.");
  });

  it("has the scores of the routes", () => {
    const score = { id: "S01", name: "429", done: "d", expected: "e", seen: "s", verdict: "partial", remedy: null };
    const { scorecard, running } = resultsOf({
      running: true,
      scorecard: {
        played_at: 7,
        routes: [{ route: null, targets: ["a/b"], scores: [score, { verdict: "new" }] }],
        not_played: ["x: why"],
      },
    });
    expect(running).toBe(true);
    expect(scorecard!.routes[0]!.scores[0]).toEqual(score);
    expect(scorecard!.routes[0]!.scores[1]!.verdict).toBe("skipped");
    expect([scorecard!.played_at, scorecard!.routes[0]!.route, scorecard!.not_played]).toEqual([7, null, ["x: why"]]);
  });
});
