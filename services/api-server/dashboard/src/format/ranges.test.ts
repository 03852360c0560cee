import { describe, expect, it } from "vitest";
import { endsOf, RANGE_NAMES, RANGES, stepFor } from "./ranges";

const NOW = 1_796_000_000_000;

describe("ranges", () => {
  it("end now, unless their ends are given", () => {
    expect(endsOf({ range: "1h" }, "24h", NOW)).toEqual({ from: NOW - 3_600_000, to: NOW });
    expect(endsOf({}, "24h", NOW)).toEqual({ from: NOW - 86_400_000, to: NOW });
    expect(endsOf({ from: 5, to: 9 }, "24h", NOW)).toEqual({ from: 5, to: 9 });
    expect(endsOf({ from: 5 }, "24h", NOW)).toEqual({ from: 5, to: NOW });
  });

  it("are the usual one if they end before they begin", () => {
    expect(endsOf({ from: 9, to: 5 }, "1h", NOW)).toEqual(endsOf({}, "1h", NOW));
  });

  it("have at most 360 points of whole minutes", () => {
    for (const name of RANGE_NAMES) {
      const length = RANGES[name][1];
      const step = stepFor({ from: NOW - length, to: NOW });
      expect(step % 60_000).toBe(0);
      expect(length / step).toBeLessThanOrEqual(360);
      expect(length / step).toBeGreaterThanOrEqual(15);
    }
  });
});
