import { describe, expect, it } from "vitest";
import { bytes, clipped, count, dollars, percent, plural, short } from "./numbers";
import {
  age,
  clockOf,
  duration,
  fromLocalInput,
  fromSeconds,
  remaining,
  setUtc,
  timeOfDay,
  toLocalInput,
  zoneName,
} from "./time";

describe("cut texts", () => {
  it("end with a word and a sign, and short ones are left alone", () => {
    expect([
      clipped("short", 10),
      clipped("one two three four", 12),
      clipped("abcdefghijkl", 8),
      clipped("Done. And more of it", 8),
    ]).toEqual(["short", "one two…", "abcdefg…", "Done…"]);
  });
});

describe("unknown values", () => {
  it("are a dash, and zero is zero", () => {
    for (const format of [count, short, bytes, dollars, percent, duration]) {
      for (const unknown of [null, undefined, Number.NaN]) expect(format(unknown)).toBe("–");
    }
    expect([count(0), short(0), bytes(0), dollars(0), percent(0), duration(0)]).toEqual([
      "0",
      "0",
      "0 B",
      "$0",
      "0 %",
      "0 ms",
    ]);
  });
});

describe("numbers", () => {
  it.each([
    [999, "999"],
    [1_000, "1 k"],
    [4_120, "4.1 k"],
    [12_600, "13 k"],
    [2_480_000, "2.5 M"],
  ])("%d is short %s", (value, text) => expect(short(value)).toBe(text));

  it.each([
    [0.000_000_1, "< $0.000001"],
    [0.000_012_3, "$0.000012"],
    [0.0031, "$0.0031"],
    [0.05, "$0.05"],
    [0.1, "$0.10"],
    [4.125, "$4.13"],
    [1234567.8, "$1,234,567.80"],
    [-2, "-$2.00"],
  ])("%d dollars are %s", (value, text) => expect(dollars(value)).toBe(text));

  it("count things", () => {
    expect([plural(1, "model"), plural(1200, "model"), plural(2, "entry", "entries")]).toEqual([
      "1 model",
      "1,200 models",
      "2 entries",
    ]);
    expect([bytes(999), bytes(14_200), bytes(1_200_000)]).toEqual(["999 B", "14 KB", "1.2 MB"]);
  });
});

describe("times", () => {
  it.each([
    [999, "999 ms"],
    [4_190, "4.1 s"],
    [9_999, "9.9 s"],
    [12_900, "12 s"],
    [200_000, "3 min 20 s"],
    [3_600_000, "1 h"],
    [273_600_000, "3 d 4 h"],
    [-1_500, "-1.5 s"],
  ])("%d ms are %s", (ms, text) => expect(duration(ms)).toBe(text));

  it("have an age", () => {
    expect([age(0, 1_500), age(0, 12_000), age(0, 3_600_000), age(0, 3 * 86_400_000), age(60_000, 0)]).toEqual([
      "just now",
      "12 s ago",
      "1 h ago",
      "3 d ago",
      "in 1 min",
    ]);
    expect([remaining(1_000, 1_000), remaining(61_000, 0)]).toEqual([null, "1 min"]);
    expect([fromSeconds(null), fromSeconds(2)]).toEqual([null, 2_000]);
  });

  it("are in the zone that is chosen", () => {
    const at = Date.UTC(2026, 10, 30, 23, 59, 7, 5);
    setUtc(true);
    expect([zoneName(), timeOfDay(at, at), timeOfDay(at, at + 60_000)]).toEqual([
      "UTC",
      "23:59:07",
      "30 Nov, 23:59:07",
    ]);
    expect(clockOf("2026-11-30T01:02:03.456789Z")).toBe("01:02:03.456");
    expect(clockOf("2026-11-30T01:02:03.456+02:00")).toBe("23:02:03.456");
    expect(clockOf("soon")).toBe("soon");
    expect(toLocalInput(at)).toBe("2026-11-30T23:59");
    expect(fromLocalInput("2026-11-30T23:59")).toBe(Date.UTC(2026, 10, 30, 23, 59));
    setUtc(false);
    expect(zoneName()).toBe(Intl.DateTimeFormat().resolvedOptions().timeZone);
    expect(timeOfDay(at, at)).toBe(new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" }).format(at));
  });

  it("survive an input field", () => {
    for (const at of [0, 1_796_008_259_000, 1_774_000_000_000]) {
      const minute = Math.floor(at / 60_000) * 60_000;
      expect(fromLocalInput(toLocalInput(minute))).toBe(minute);
    }
    expect([fromLocalInput(""), fromLocalInput("2026-13-99"), toLocalInput(undefined)]).toEqual([
      undefined,
      undefined,
      "",
    ]);
  });
});
