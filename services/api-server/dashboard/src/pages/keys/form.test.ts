import { describe, expect, it } from "vitest";
import type { KeyView } from "../../api/access-queries";
import { KEY } from "../../api/forms";
import { type Entry, withText } from "../../forms/entry";
import { documentFor, numbers } from "../../forms/random";
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
  limits: { rpm: 60, queue: { max_waiting: 20, timeout_ms: 5_000 } },
  priority: "low",
  budget: { amount_usd: 2.5, period: "week" },
  log_bodies: "redact",
  strict: true,
  guard: { cards: "refuse" },
  expires_at: 1_800_000_012_345,
  created_at: 1,
  updated_at: 1,
} as KeyView;

const typed = (draft: Entry, texts: Record<string, string>) =>
  Object.entries(texts).reduce((entry, [path, text]) => withText(KEY, entry, path, text), draft);

describe("the form of a key", () => {
  it("sends back what was stored, with the seconds of its expiry", () => {
    const { id: _, hint: _h, created_at: _c, updated_at: _u, ...document } = stored;
    const read = { ...stored, etag: '"1"', revoked_at: null, previous_expires_at: 5 };
    expect(bodyOf(draftOf(read))).toEqual({ document, mistakes: [] });
    const next = numbers(4);
    for (let n = 0; n < 200; n += 1) {
      const document = documentFor(KEY, next);
      expect(bodyOf(draftOf({ ...document, id: "k", hint: "h" } as never))).toEqual({ document, mistakes: [] });
    }
  });

  it("keeps the queue when another limit is changed", () => {
    const { document } = bodyOf(typed(draftOf(stored), { "limits.rpm": "", "limits.tpm": "1000" }));
    expect(document.limits).toEqual({ tpm: 1000, queue: { max_waiting: 20, timeout_ms: 5_000 } });
  });

  it("sends an expiry that was changed or removed", () => {
    const draft = draftOf(stored);
    expect(bodyOf(typed(draft, { expires_at: "" })).document).not.toHaveProperty("expires_at");
    expect(bodyOf(typed(draft, { expires_at: "2030-01-01T00:00" })).document.expires_at).toBe(
      new Date("2030-01-01T00:00").getTime(),
    );
  });

  it("restricts nothing by default, and leaves what is no number to the server", () => {
    const { document } = bodyOf(typed(emptyDraft(), { name: " n ", "limits.rpm": "many", tags: "a, b\na" }));
    expect(document).toEqual({ name: "n", limits: { rpm: "many" }, tags: ["a", "b"] });
    expect(bodyOf(emptyDraft()).mistakes).toEqual(["name is required"]);
  });

  it("has budgets of an amount and a period", () => {
    const budget = (draft: Entry, texts: Record<string, string>) => bodyOf(typed(draft, texts)).document.budget;
    expect(budget(emptyDraft(), { "budget.amount_usd": "0" })).toEqual({ amount_usd: 0, period: "month" });
    expect(budget(draftOf(stored), { "budget.amount_usd": "3" })).toEqual({ amount_usd: 3, period: "week" });
    expect(budget(draftOf(stored), { "budget.amount_usd": "" })).toBeUndefined();
    expect(bodyOf(typed(emptyDraft(), { name: "n", "budget.period": "day" })).mistakes).toEqual([
      "budget.amount_usd is required",
    ]);
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
    expect(limitsOf({ queue: { max_waiting: 5, timeout_ms: 100 } })).toEqual(["5 may wait"]);
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
