import { describe, expect, it, vi } from "vitest";
import { type UsageRow, usageQuery, usageUrl } from "../../api/usage";
import { usageSearch } from "./search";
import { barsOf, totalOf } from "./sums";

const row = (name: string | null, cost_usd: number, requests: number): UsageRow => ({
  name,
  requests,
  errors: 1,
  prompt_tokens: 10 * requests,
  completion_tokens: requests,
  cost_usd,
  unpriced: 0,
});

describe("bars", () => {
  it("are parts of the largest value, which is first", () => {
    const rows = [row("a", 1, 8), row("b", 4, 2)];
    expect(barsOf(rows, "cost").map(({ row, part }) => [row.name, part])).toEqual([
      ["b", 1],
      ["a", 0.25],
    ]);
    expect(barsOf(rows, "requests").map(({ row }) => row.name)).toEqual(["a", "b"]);
    expect(barsOf(rows, "tokens")[0]!.value).toBe(88);
  });

  it("are empty where everything is zero", () => {
    expect(barsOf([row(null, 0, 0)], "cost")[0]!.part).toBe(0);
    expect(barsOf([], "cost")).toEqual([]);
  });

  it("have a total", () => {
    expect(totalOf([row("a", 1, 8), row("b", 4, 2)])).toEqual({
      requests: 10,
      errors: 2,
      prompt_tokens: 100,
      completion_tokens: 10,
      cost_usd: 5,
      unpriced: 0,
    });
  });
});

describe("the address", () => {
  it("keeps what is understood", () => {
    expect(usageSearch({ by: "owner", show: "beauty", range: "7d", from: "x" })).toEqual({
      by: "owner",
      show: undefined,
      range: "7d",
      from: undefined,
      to: undefined,
    });
    expect(usageUrl("tag", { from: 5 }, "csv")).toBe("/api/usage?by=tag&from=5&format=csv");
  });

  it("is asked, and a refusal has the words of the server", async () => {
    const fetched = vi.spyOn(globalThis, "fetch");
    fetched.mockResolvedValueOnce(Response.json({ by: "key", usage: [row("a", 1, 1)] }));
    const run = usageQuery("key", { from: 1, to: 2 }).queryFn as (context: unknown) => Promise<unknown>;
    expect(await run({})).toMatchObject({ usage: [{ name: "a" }] });
    expect(fetched.mock.calls[0]![0]).toBe("/api/usage?by=key&from=1&to=2");
    const refused = { error: { message: "Validation failed", errors: ["from must not be after to"] } };
    fetched.mockResolvedValueOnce(Response.json(refused, { status: 400 }));
    await expect(run({})).rejects.toMatchObject({ details: { mistakes: ["from must not be after to"] } });
  });
});
