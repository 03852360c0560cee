import { describe, expect, it } from "vitest";
import { areasOf, asText, countOf, reportOf } from "./report";

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
    for (const odd of [null, "x", {}, { checks: "none", checked_at: "now" }])
      expect(reportOf(odd)).toEqual({ checked_at: null, checks: [] });
    expect(reportOf({ checks: [null] }).checks[0]!.state).toBe("skipped");
  });

  it("can be sent to somebody as text", () => {
    const text = asText(reportOf(answer));
    expect(text.split("\n")[2]).toBe("fail    provider.groq.key: no key");
    expect(text).toContain("        Enter one.");
  });
});
