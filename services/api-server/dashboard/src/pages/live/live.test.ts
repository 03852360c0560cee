import { describe, expect, it, vi } from "vitest";
import { type Columns, fetchSeries, fetchTop, type MetricSeries } from "../../api/usage";
import { chartsOfAll, chartsOfSplit, hiddenLines, labelOf, rate, refreshAfter, timesOf } from "./charts";
import { progressOf } from "./in-flight";
import { activityOf, median } from "./now";
import { liveSearch } from "./search";

const columns = (key: string | null): Columns => ({
  key,
  requests: [60, 0],
  errors: [6, 0],
  prompt: [600, 0],
  completion: [60, 0],
  cost_nano: [2_000_000_000, 0],
  p50: [100, null],
  p95: [200, null],
  p99: [300, null],
  ttft50: [10, null],
  ttft95: [20, null],
});
const seriesOf = (...keys: (string | null)[]): MetricSeries => ({
  t0: 1_000,
  step: 60_000,
  series: keys.map(columns),
  partial_from: 61_000,
});

describe("charts", () => {
  it("have rates per second, and dollars", () => {
    const charts = chartsOfAll(seriesOf(null));
    const values = (title: string) =>
      charts.find((chart) => chart.title.startsWith(title))!.lines.map((line) => line.values);
    expect(values("Requests")).toEqual([
      [1, 0],
      [0.1, 0],
    ]);
    expect(values("Tokens")).toEqual([
      [10, 0],
      [1, 0],
    ]);
    expect(values("Cost per 1 min")).toEqual([[2, 0]]);
  });

  it("keep gaps where nothing was measured", () => {
    const duration = chartsOfAll(seriesOf(null)).find(({ title }) => title === "Duration")!;
    expect(duration.lines.map(({ label, values }) => [label, values])).toEqual([
      ["p50", [100, null]],
      ["p95", [200, null]],
      ["p99", [300, null]],
    ]);
  });

  it("have a line for each provider, and at most eight", () => {
    const split = chartsOfSplit(seriesOf("openai", "", null));
    expect(split[0]!.lines.map(({ label }) => label)).toEqual(["openai", "none", "others"]);
    expect(split.find(({ title }) => title.startsWith("Tokens"))!.lines[0]!.values).toEqual([11, 0]);
    const many = seriesOf(...Array.from({ length: 11 }, (_, at) => `m${at}`));
    expect([chartsOfSplit(many)[0]!.lines.length, hiddenLines(many)]).toEqual([8, 3]);
  });

  it("are empty without requests", () => {
    const none = { ...seriesOf(), partial_from: null };
    expect([timesOf(none), chartsOfAll(none)]).toEqual([[], []]);
    expect(timesOf(seriesOf(null))).toEqual([1_000, 61_000]);
  });

  it("name series and rates", () => {
    expect([labelOf(null, false), labelOf(null, true), labelOf("", true)]).toEqual(["all", "others", "none"]);
    expect([rate(0), rate(0.0001), rate(0.12345), rate(3.45), rate(1210)]).toEqual([
      "0",
      "< 0.001",
      "0.12",
      "3.5",
      "1.2 k",
    ]);
    expect([refreshAfter(60_000), refreshAfter(3_600_000)]).toEqual([10_000, 60_000]);
  });
});

describe("what happens now", () => {
  it("has a median of the last requests", () => {
    expect([median([]), median([5]), median([9, 1, 5]), median([1, 9, 3, 5])]).toEqual([null, 5, 5, 4]);
  });

  it("says how providers and requests are", () => {
    const state = (healthy: boolean, breaker: "closed" | "half-open" | "open") => activityOf({ healthy, breaker });
    expect([
      state(true, "closed")[0],
      state(false, "closed")[0],
      state(false, "half-open")[0],
      state(true, "open")[0],
    ]).toEqual(["ok", "warn", "warn", "bad"]);
    expect(activityOf({ healthy: true, breaker: "unheard-of" as never })[0]).toBe("off");
    expect([
      progressOf({ phase: "waiting", attempts: 1 }),
      progressOf({ phase: "waiting", attempts: 3 }),
      progressOf({ phase: "answering", attempts: 3 }),
      progressOf({ phase: "queued", attempts: 0 }),
    ]).toEqual(["waiting", "waiting, attempt 3", "answering", "queued"]);
  });
});

describe("the address", () => {
  it("keeps what is understood", () => {
    expect(liveSearch({ by: "owner", paused: "false", range: "6h" })).toMatchObject({
      by: undefined,
      paused: undefined,
      range: "6h",
    });
    expect(liveSearch({ by: "model", paused: true })).toMatchObject({ by: "model", paused: true });
  });

  it("is asked of the server", async () => {
    const fetched = vi.spyOn(globalThis, "fetch");
    fetched.mockResolvedValueOnce(Response.json(seriesOf(null)));
    expect(await fetchSeries({ from: 1, to: 2, step: 60_000, by: undefined })).toMatchObject({ partial_from: 61_000 });
    fetched.mockResolvedValueOnce(Response.json({ rows: [{ key: "openai" }] }));
    expect(await fetchTop({ from: 1, to: 2, by: "provider" })).toEqual([{ key: "openai" }]);
    expect(fetched.mock.calls.map(([url]) => url)).toEqual([
      "/api/metrics/series?from=1&to=2&step=60000",
      "/api/metrics/top?from=1&to=2&by=provider&limit=20",
    ]);
  });
});
