import { describe, expect, it } from "vitest";
import { textAt, withText } from "../../forms/entry";
import { sentAmount, sentRatio, typedAmount, typedRatio } from "./amounts";
import {
  asForm,
  asJson,
  draftOf,
  hiddenFields,
  isSame,
  overrideOf,
  type PricesDraft,
  pathsOf,
  rowDraft,
  rowOf,
  rowsById,
  sendableOf,
  shortMistake,
  thresholdDraft,
} from "./form";
import { foundIn, priceOf, replacedIds } from "./rows";
import { ROW, THRESHOLD } from "./schema";

const DOCUMENT = {
  v: 1,
  note: "ours",
  prices: [
    {
      id: "openai/gpt-4.1",
      provider: "openai",
      base: { in: "1.8", cr: 450_000, out: "7.2" },
      over: [{ input_gt: 200_000, x: [3, 2] }],
      tier: { batch: { x: [1, 2] }, flex: { in: "1", out: "2" } },
      units: { web_search: 10_000_000 },
      hours_utc: ["16:30", "00:30"],
    },
    { id: "our-gpus", provider_id: ["my-vllm"], match: ["*"], free: true },
  ],
};

/** Returns the document that a form sends. */
function sent(draft: PricesDraft) {
  const sendable = sendableOf(draft);
  if ("mistake" in sendable) throw new Error(sendable.mistake);
  expect(sendable.mistakes).toEqual([]);
  return sendable.document;
}

describe("amounts", () => {
  it("are dollars, whatever the unit of a whole number is", () => {
    expect(typedAmount(2_500_000, "token")).toBe("2.5");
    expect(typedAmount(1, "token")).toBe("0.000001");
    expect(typedAmount(0, "token")).toBe("0");
    expect(typedAmount(10_000_000, "unit")).toBe("0.01");
    expect(typedAmount("2.50", "token")).toBe("2.50");
    expect(typedAmount(1.5, "token")).toBe(1.5);
    expect(sentAmount(" $ 2.5 ")).toBe("2.5");
    expect(sentAmount("a lot")).toBe("a lot");
  });

  it("are ratios in either form", () => {
    expect(typedRatio([1, 2])).toBe("1/2");
    expect(sentRatio("1/2")).toEqual([1, 2]);
    expect(sentRatio("0.5")).toEqual([1, 2]);
    expect(sentRatio("1,25")).toEqual([5, 4]);
    expect(sentRatio("2")).toEqual([2, 1]);
    expect(sentRatio("0")).toEqual([0, 1]);
    // The server says what is wrong with it.
    expect(sentRatio("half")).toBe("half");
    expect(sentRatio(undefined)).toBeUndefined();
  });
});

describe("the form of prices", () => {
  it("sends back what was not edited, also what it does not show", () => {
    const [first, second] = DOCUMENT.prices;
    expect(sent(draftOf(DOCUMENT))).toEqual({
      v: 1,
      note: "ours",
      prices: [{ ...first, base: { in: "1.8", cr: "0.45", out: "7.2" }, units: { web_search: "0.01" } }, second],
    });
    expect(hiddenFields(draftOf(DOCUMENT).rows[0]!)).toEqual(["hours_utc", "prices of the tier flex"]);
    expect(hiddenFields(rowDraft({ id: "a/b", units: { audio_second: "1", image: "2" } }))).toEqual(["audio_second"]);
  });

  it("sends an edited price, and forgets what a free model does not have", () => {
    const draft = draftOf(DOCUMENT);
    const row = draft.rows[0]!;
    const edited = { ...row, ...withText(ROW, row, "base.in", "$2") };
    expect(rowOf(edited).row).toMatchObject({ base: { in: "2", cr: "0.45", out: "7.2" } });
    const free = { ...row, ...withText(ROW, row, "free", "true") };
    expect(Object.keys(rowOf(free).row).sort()).toEqual(["free", "hours_utc", "id", "provider"]);
    expect(isSame(draft, { ...draft, rows: [edited, draft.rows[1]!] })).toBe(false);
    const back = { ...edited, ...withText(ROW, edited, "base.in", "1.8") };
    expect(isSame(draft, { ...draft, rows: [back, draft.rows[1]!] })).toBe(true);
  });

  it("adds thresholds", () => {
    const threshold = thresholdDraft();
    const typed = withText(THRESHOLD, withText(THRESHOLD, threshold, "input_gt", "200000"), "x", "1.5");
    const row = { ...rowDraft({ id: "a/b", base: { in: "1" } }), over: [{ ...threshold, ...typed }] };
    expect(rowOf(row).row.over).toEqual([{ input_gt: 200_000, x: [3, 2] }]);
  });

  it("begins a price of one's own with that of the table", () => {
    const copy = overrideOf({ id: "a/b", base: { in: "1" }, source: "somewhere", unverified: true, note: "theirs" });
    expect(rowOf(copy).row).toEqual({ id: "a/b", base: { in: "1" } });
  });

  it("says what is missing, and where", () => {
    const sendable = sendableOf({ ...draftOf(null), rows: [rowDraft({})] });
    expect(sendable).toMatchObject({ mistakes: ["prices.0.id is required"] });
    expect(pathsOf(draftOf(DOCUMENT))).toEqual(
      expect.arrayContaining(["prices.0", "prices.0.base.in", "prices.0.over.0.x", "prices.1.free"]),
    );
    expect(shortMistake("prices.2.base (openai/x) is missing: give the prices")).toBe("Is missing: give the prices");
  });

  it("becomes a JSON document, and back", () => {
    const draft = draftOf(DOCUMENT);
    const json = asJson(draft);
    expect(JSON.parse(json.text)).toEqual(sent(draft));
    expect(isSame(draft, json)).toBe(true);
    const back = asForm(json);
    if ("mistake" in back) throw new Error(back.mistake);
    expect(isSame(draft, back)).toBe(true);
    expect(asForm({ ...json, text: "{" })).toMatchObject({ mistake: expect.stringMatching(/^This is no JSON/) });
    expect(asForm({ ...json, text: "[]" })).toHaveProperty("mistake");
    expect(asForm({ ...json, text: '{"prices": [1]}' })).toEqual({ mistake: "prices must be a list of rows." });
    expect(isSame(draft, { ...json, text: "{" })).toBe(false);
    expect(sendableOf({ ...json, text: "" })).toHaveProperty("mistake");
  });

  it("is compared row by row", () => {
    expect(Object.keys(rowsById(DOCUMENT))).toEqual(["v", "note", "openai/gpt-4.1", "our-gpus"]);
    expect(rowsById(null)).toEqual({});
  });
});

describe("the table of prices", () => {
  const line = (id: string, source: string, price: object = {}) => ({ id, source, verified: true, digest: id, price });

  it("is searched by words and layer", () => {
    const rows = [line("openai/GPT-4.1", "api"), line("openai/gpt-4.1", "shipped"), line("groq/llama", "file")];
    expect(foundIn(rows, "gpt open", undefined)).toHaveLength(2);
    expect(foundIn(rows, "", "file").map(({ id }) => id)).toEqual(["groq/llama"]);
    expect(replacedIds(rows)).toEqual(new Set(["openai/gpt-4.1"]));
  });

  it("shows amounts in either unit, ratios and days", () => {
    const price = priceOf(
      line("a/b", "api", {
        base: { in: 2_500_000, out: "10" },
        over: [{ input_gt: 200_000, x: [2, 1] }],
        units: { web_search: 10_000_000 },
        from: "2026-12-01",
      }),
    );
    expect(price).toMatchObject({ input: "2.5", output: "10" });
    expect(price.conditions).toEqual(["from 2026-12-01", "above 200,000 input tokens: × 2", "web search: $0.01"]);
    expect(textAt(ROW, rowDraft({ base: { in: 2_500_000 } }), "base.in")).toBe("2.5");
  });
});
