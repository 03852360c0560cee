import { describe, expect, it } from "vitest";
import type { KeyView } from "../../api/access-queries";
import { bodyOf, budgetOf, draftOf, emptyDraft, limitsOf, periodStart, stateOf } from "./form";

const DAY = 86_400_000;

const stored = {
  id: "k",
  name: "ci",
  hint: "sbx-abcdef",
  owner: "platform",
  tags: ["a", "b"],
  models: ["gpt-*"],
  surfaces: ["chat"],
  addresses: ["10.0.0.0/8"],
  limits: { rpm: 60 },
  budget: { amount_usd: 2.5, period: "week" },
  log_bodies: "redact",
  strict: true,
  guard: { cards: "refuse" },
  expires_at: 1_800_000_012_345,
  created_at: 1,
  updated_at: 1,
} as KeyView;

describe("the form of a key", () => {
  it("sends back what was stored, with the seconds of its expiry", () => {
    const { id: _, hint: _h, created_at: _c, updated_at: _u, ...document } = stored;
    const versioned = { ...stored, etag: '"1-a"' };
    expect(JSON.parse(JSON.stringify(bodyOf(draftOf(versioned), versioned)))).toEqual(document);
  });

  it("sends an expiry that was changed or removed", () => {
    const draft = draftOf(stored);
    expect(bodyOf({ ...draft, expires: "" }, stored).expires_at).toBeUndefined();
    expect(bodyOf({ ...draft, expires: "2030-01-01T00:00" }, stored).expires_at).toBe(
      new Date("2030-01-01T00:00").getTime(),
    );
  });

  it("restricts nothing by default, and leaves what is no number to the server", () => {
    expect(JSON.parse(JSON.stringify(bodyOf({ ...emptyDraft(), name: " n ", rpm: "many" })))).toEqual({
      name: "n",
      tags: [],
      limits: { rpm: "many" },
      strict: false,
    });
    expect(bodyOf({ ...emptyDraft(), amount: "0" }).budget).toEqual({ amount_usd: 0, period: "month" });
    expect(bodyOf({ ...emptyDraft(), tags: "a, b\na" }).tags).toEqual(["a", "b"]);
  });
});

describe("keys", () => {
  it("have a state", () => {
    const at = (key: Partial<KeyView>) => stateOf(key, 10 * DAY);
    expect(at({})).toEqual(["ok", "valid"]);
    expect(at({ expires_at: 30 * DAY })).toEqual(["ok", "valid"]);
    expect(at({ expires_at: 10 * DAY })).toEqual(["bad", "expired"]);
    expect(at({ expires_at: 12 * DAY })).toEqual(["warn", "valid for 2 d"]);
    expect(at({ previous_expires_at: 10 * DAY + 3_600_000 })).toEqual(["ok", "valid, the previous one for 1 h"]);
    expect(at({ previous_expires_at: DAY })).toEqual(["ok", "valid"]);
    expect(at({ revoked_at: 1, expires_at: 30 * DAY })).toEqual(["bad", "revoked"]);
  });

  it("are described in short", () => {
    expect(limitsOf({ rpm: 60, tpm: 100_000, concurrency: 4 })).toEqual([
      "60 requests/min",
      "100,000 tokens/min",
      "4 at once",
    ]);
    expect(limitsOf(undefined)).toEqual([]);
    expect([budgetOf({ amount_usd: 20, period: "month" }), budgetOf({ amount_usd: 0.5, period: "total" })]).toEqual([
      "$20.00 a month",
      "$0.50 in total",
    ]);
  });

  it("have budgets whose periods begin at midnight UTC, weeks on Monday", () => {
    const sunday = Date.UTC(2026, 10, 29, 23, 59);
    expect(periodStart("day", sunday)).toBe(Date.UTC(2026, 10, 29));
    expect(periodStart("week", sunday)).toBe(Date.UTC(2026, 10, 23));
    expect(periodStart("week", Date.UTC(2026, 10, 30))).toBe(Date.UTC(2026, 10, 30));
    expect(periodStart("week", Date.UTC(2027, 0, 2))).toBe(Date.UTC(2026, 11, 28));
    expect(periodStart("month", sunday)).toBe(Date.UTC(2026, 10, 1));
    expect(periodStart("total", sunday)).toBeUndefined();
  });
});
