import { describe, expect, it } from "vitest";
import type { RequestRow } from "../../api/request-list";
import { answerText } from "../../api/session-list";
import { sameMessages, TurnReader } from "../../workers/turns";
import { inOrder } from "./detail";
import { sessionsOf } from "./found";
import { sessionsSearch } from "./search";
import { costWords } from "./session-row";

describe("the address of the sessions", () => {
  it("keeps what is understood", () => {
    expect(sessionsSearch({ q: 5, model: ["a", "b"], sort: "size" })).toEqual({
      q: "5",
      model: ["a", "b"],
      sort: undefined,
    });
    expect(sessionsSearch({ model: "a", sort: "last_accessed" })).toEqual({
      q: undefined,
      model: "a",
      sort: "last_accessed",
    });
  });
});

describe("sessions", () => {
  it("are those of the requests that were found", () => {
    const found = [
      { session_id: "a", model: "m", timestamp: 5 },
      { session_id: "b", model: "m", timestamp: 9 },
      { session_id: "a", model: "n", timestamp: 7 },
    ];
    expect(sessionsOf(found)).toEqual([
      { id: "b", requests: 1, models: ["m"], newest: 9 },
      { id: "a", requests: 2, models: ["m", "n"], newest: 7 },
    ]);
  });

  it("cost what is known", () => {
    const sums = (total_cost_usd: number, unpriced: number) => costWords({ total_cost_usd, unpriced });
    expect([costWords(undefined), sums(0, 0), sums(0, 2), sums(1.5, 0), sums(1.5, 2)]).toEqual([
      "–",
      "$0",
      "–",
      "$1.50",
      "$1.50 +",
    ]);
  });

  it("show the beginning of an answer of each API", () => {
    const output = [{ type: "reasoning" }, { type: "message", content: [{ type: "output_text", text: "r" }] }];
    expect(
      [
        { choices: [{ message: { content: "c" } }] },
        { choices: [{ text: "t" }] },
        { content: [{ type: "text", text: "m" }] },
        { output },
        { choices: [] },
        { error: {} },
        null,
        "text",
      ].map(answerText),
    ).toEqual(["c", "t", "m", "r", "", "", "", ""]);
  });
});

describe("turns", () => {
  it("are in the order of the conversation, each with the one before", () => {
    const rows = [3, 1, 2].map((id) => ({ id, timestamp: 5 }) as RequestRow);
    const ids = (more: boolean) => inOrder(rows, more).map(({ turn, before }) => [turn.id, before?.id]);
    expect(ids(false)).toEqual([
      [1, undefined],
      [2, 1],
      [3, 2],
    ]);
    expect(ids(true)).toEqual([
      [2, 1],
      [3, 2],
    ]);
  });

  it("show what is new in them", () => {
    expect([
      sameMessages(["a"], ["a", "b", "c"]),
      sameMessages(["a"], ["a"]),
      sameMessages(["a"], ["x"]),
      sameMessages([], []),
    ]).toEqual([1, 0, 0, 0]);
  });

  it("read each body once", async () => {
    const asked: string[] = [];
    const bodies: Record<string, unknown> = {
      one: { messages: [{ role: "user", content: "a" }] },
      two: {
        messages: [
          { role: "user", content: "a" },
          { role: "assistant", content: "b" },
          { role: "user", content: "c" },
        ],
      },
      answer: { choices: [{ message: { role: "assistant", content: "d" } }] },
    };
    const reader = new TurnReader(async (url) => {
      asked.push(url);
      return bodies[url];
    });
    const [first, second] = await Promise.all([
      reader.turn({ asked: "one", answered: null, before: null }),
      reader.turn({ asked: "two", answered: "answer", before: "one" }),
    ]);
    expect([first.fresh.length, first.answer]).toEqual([1, []]);
    expect([second.known, second.fresh.length, second.answer.length]).toEqual([1, 2, 1]);
    expect(asked.toSorted()).toEqual(["answer", "one", "two"]);
  });

  it("without the one before are shown whole", async () => {
    const reader = new TurnReader(async (url) => {
      if (url === "lost") throw new Error("not there");
      return { messages: [{ role: "user", content: "a" }] };
    });
    expect((await reader.turn({ asked: "one", answered: null, before: "lost" })).fresh).toHaveLength(1);
    await expect(reader.turn({ asked: "lost", answered: null, before: null })).rejects.toThrow("not there");
  });
});
