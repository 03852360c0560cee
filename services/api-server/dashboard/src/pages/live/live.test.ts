import { describe, expect, it, vi } from "vitest";
import { type Columns, fetchErrors, fetchSeries, fetchTop, type MetricSeries } from "../../api/usage";
import { progressOf } from "../../parts/cancel";
import { moveTo } from "../../parts/chart-drawing";
import {
  changeOf,
  chartsOfAll,
  chartsOfSplit,
  errorChart,
  filtersOf,
  hiddenLines,
  labelOf,
  rate,
  refreshAfter,
  timesOf,
} from "./charts";
import { periodBefore } from "./figures";
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
    const split = chartsOfSplit(seriesOf("openai", "", null), "provider");
    expect(split[0]!.lines.map(({ label }) => label)).toEqual(["openai", "none", "others"]);
    expect(split.find(({ title }) => title.startsWith("Tokens"))!.lines[0]!.values).toEqual([11, 0]);
    const many = seriesOf(...Array.from({ length: 11 }, (_, at) => `m${at}`));
    expect([chartsOfSplit(many, "model")[0]!.lines.length, hiddenLines(many)]).toEqual([8, 3]);
  });

  it("have a thin line for the period before, with a value for each point", () => {
    const earlier = seriesOf(null);
    earlier.series[0]!.p50 = [50];
    const charts = chartsOfAll(seriesOf(null), earlier);
    expect(charts[0]!.lines.map(({ label, isBefore = false }) => [label, isBefore])).toEqual([
      ["requests", false],
      ["requests, before", true],
      ["errors", false],
      ["errors, before", true],
    ]);
    expect(charts.find(({ title }) => title === "Duration")!.lines[1]!.values).toEqual([50, null]);
    // There was no request.
    expect(chartsOfAll(seriesOf(null), { ...earlier, series: [] })[0]!.lines).toHaveLength(2);
  });

  it("show errors by their statuses, if there are any", () => {
    const series = [
      { key: "completed", errors: [0, 0] },
      { key: "failed", errors: [6, 0] },
      { key: "", errors: [0, 3] },
    ];
    const chart = errorChart({ step: 60_000, series }, (status) => `${status}!`)!;
    expect(chart.lines).toEqual([
      { label: "failed!", values: [0.1, 0], filters: { status: "failed", has_error: true } },
      { label: "none", values: [0, 0.05], filters: undefined },
    ]);
    expect(errorChart({ step: 60_000, series: series.slice(0, 1) }, String)).toBeNull();
  });

  it("lead to the requests of a line", () => {
    expect([filtersOf("key", "k1"), filtersOf("model", ""), filtersOf("model", null)]).toEqual([
      { key: "k1" },
      undefined,
      undefined,
    ]);
    expect(chartsOfSplit(seriesOf("openai", null), "provider")[1]!.lines.map(({ filters }) => filters)).toEqual([
      { provider: "openai" },
      undefined,
    ]);
    expect(chartsOfAll(seriesOf(null))[0]!.lines.map(({ filters }) => filters)).toEqual([
      undefined,
      { has_error: true },
    ]);
  });

  it("are walked through by keys", () => {
    expect(["ArrowLeft", "ArrowRight", "PageUp", "PageDown", "Home", "End"].map((key) => moveTo(key, 1, 5))).toEqual([
      0, 2, 0, 5, 0, 5,
    ]);
    expect([moveTo("j", 1, 5), moveTo("End", 0, -1)]).toEqual([null, null]);
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

describe("the period before", () => {
  it("has its points at the same places", () => {
    expect(periodBefore({ from: 600_000, to: 1_200_000 }, 60_000)).toEqual({ from: 0, to: 600_000 });
    expect(periodBefore({ from: 600_000, to: 700_000 }, 60_000)).toEqual({ from: 480_000, to: 580_000 });
  });

  it("is compared in words", () => {
    expect([changeOf(110, 100), changeOf(3, 400), changeOf(5, 0), changeOf(0, 0), changeOf(7, 7)]).toEqual([
      "+10 %",
      "-99 %",
      "new",
      null,
      "0 %",
    ]);
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
    expect(liveSearch({ by: "model", paused: true, compare: "true" })).toMatchObject({
      by: "model",
      paused: true,
      compare: true,
    });
  });

  it("is asked of the server", async () => {
    const fetched = vi.spyOn(globalThis, "fetch");
    fetched.mockResolvedValueOnce(Response.json(seriesOf(null)));
    expect(await fetchSeries({ from: 1, to: 2, step: 60_000, by: undefined })).toMatchObject({ partial_from: 61_000 });
    fetched.mockResolvedValueOnce(Response.json({ rows: [{ key: "openai" }] }));
    expect(await fetchTop({ from: 1, to: 2, by: "provider" })).toEqual([{ key: "openai" }]);
    fetched.mockResolvedValueOnce(Response.json({ step: 60_000, series: [] }));
    expect(await fetchErrors({ from: 1, to: 2, step: 60_000 })).toMatchObject({ series: [] });
    expect(fetched.mock.calls.map(([url]) => url)).toEqual([
      "/api/metrics/series?from=1&to=2&step=60000",
      "/api/metrics/top?from=1&to=2&by=provider&limit=20",
      "/api/metrics/series?from=1&to=2&step=60000&by=status&metrics=errors",
    ]);
  });
});
