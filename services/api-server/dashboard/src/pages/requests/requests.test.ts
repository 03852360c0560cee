import { describe, expect, it } from "vitest";
import type { Attempt } from "../../api/request";
import { phasesOf, ticksOf, waterfall } from "./attempts";
import { askedMessages } from "./conversation";
import { asCurl, needsFile } from "./curl";
import { outcomeOf } from "./explain";
import { excerptBegin, messagesWith, splitAt } from "./find";
import { handoverOf } from "./handover";
import { requestSearch } from "./search";

const attempt = (fields: Partial<Attempt>): Attempt => ({
  target: 0,
  provider: "p",
  start_ms: 0,
  end_ms: 0,
  ...fields,
});

describe("the waterfall", () => {
  it("shows attempts in their order, and the gaps between them", () => {
    const { rows, end } = waterfall(
      [attempt({ start_ms: 10, end_ms: 50 }), attempt({ start_ms: 150, first_byte_ms: 200, end_ms: 300 })],
      320,
    );
    expect(rows.map(({ kind, from, to }) => [kind, from, to])).toEqual([
      ["gap", 0, 10],
      ["attempt", 10, 50],
      ["gap", 50, 150],
      ["attempt", 150, 300],
      ["gap", 300, 320],
    ]);
    expect(end).toBe(320);
  });

  it("has no gap where attempts overlap, as hedged ones do", () => {
    const { rows, end } = waterfall([attempt({ end_ms: 100 }), attempt({ start_ms: 40, end_ms: 80 })], null);
    expect([rows.map(({ kind }) => kind), end]).toEqual([["attempt", "attempt"], 100]);
    expect(waterfall([], 5)).toEqual({ rows: [], end: 5 });
  });

  it("names what was recorded, and says what was not", () => {
    const names = (fields: Partial<Attempt>) =>
      phasesOf(attempt(fields)).map(({ words, from, to }) => [words, from, to]);
    const whole = { start_ms: 5, connect_ms: 10, headers_ms: 30, first_byte_ms: 40, end_ms: 90 };
    expect(names(whole)).toEqual([
      ["connection", 5, 10],
      ["headers", 10, 30],
      ["first byte", 30, 40],
      ["answer", 40, 90],
    ]);
    expect(names({ start_ms: 5, headers_ms: 30, end_ms: 30 })).toEqual([["connection and headers", 5, 30]]);
    expect(names({ start_ms: 5, first_byte_ms: 40, end_ms: 90 })).toEqual([
      ["until the first byte", 5, 40],
      ["answer", 40, 90],
    ]);
    expect(names({ start_ms: 5, end_ms: 9 })).toEqual([["until the end", 5, 9]]);
  });

  it("has round times on its axis", () => {
    expect(ticksOf(0)).toEqual([0]);
    expect(ticksOf(1_000)).toEqual([0, 200, 400, 600, 800, 1_000]);
    for (const end of [1, 7, 33, 420, 99_999]) expect(ticksOf(end).length).toBeLessThanOrEqual(6);
  });
});

describe("targets", () => {
  it("have an outcome in words", () => {
    expect(outcomeOf(0, null, null)).toEqual(["off", "not needed"]);
    expect(outcomeOf(1, null, 200)).toEqual(["ok", "answered"]);
    expect(outcomeOf(2, null, 200)).toEqual(["ok", "answered, after 2 attempts"]);
    expect(outcomeOf(3, "timeout", null)).toEqual(["bad", "failed 3 times"]);
    expect(outcomeOf(1, null, 429)).toEqual(["bad", "failed"]);
  });
});

describe("finding in messages", () => {
  const messages = askedMessages({
    messages: [
      { role: "user", content: "Where is the Parser?" },
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "1", function: { name: "read", arguments: '{"path":"parser.rs"}' } }],
      },
      { role: "tool", tool_call_id: "1", content: "nothing" },
    ],
  });

  it("ignores case, and looks into calls", () => {
    expect(messagesWith(messages, "PARSER").map(({ at }) => at)).toEqual([0, 1]);
    expect(messagesWith(messages, "")).toEqual([]);
  });

  it("splits a text at each place", () => {
    expect(splitAt("aXbxc", "x")).toEqual(["a", "X", "b", "x", "c"]);
    expect(splitAt("abc", "")).toEqual(["abc"]);
    expect(splitAt("İx", "x").join("")).toBe("İx");
    const long = `${"a".repeat(5_000)}needle`;
    const begin = excerptBegin(long, "needle", 2_000);
    expect(long.slice(begin, begin + 2_000)).toContain("needle");
    expect(excerptBegin("needle", "needle", 2_000)).toBe(0);
  });
});

describe("the command of a request", () => {
  const request = { request_id: "1", method: "POST", path: "/v1/chat/completions", key_id: null };

  it("has the body as it was sent", () => {
    const body = '{"model": "it\'s",  "n": 1e400}';
    const command = asCurl("http://127.0.0.1:3001", request, body);
    expect(command).toContain(`-d '{"model": "it'\\''s",  "n": 1e400}'`);
    expect(command).not.toContain("Authorization");
    expect(asCurl("http://a", { ...request, key_id: "k" }, "{}")).toContain(
      '"Authorization: Bearer $SIGNALBOX_API_KEY"',
    );
  });

  it("reads a long body from a file", () => {
    const body = "x".repeat(100_001);
    expect([needsFile(body), needsFile("{}")]).toEqual([true, false]);
    expect(asCurl("http://a", request, body)).toMatch(/--data-binary '?@1-asked\.json'?$/);
  });
});

describe("the handover to the playground", () => {
  it("has the messages as they were sent, and the other fields", () => {
    const messages = [{ role: "user", content: "hi", name: "x" }];
    const body = { model: "a", stream: true, temperature: 0, system: "Be brief.", messages };
    expect(handoverOf("a", body)).toEqual({ messages, model: "a", params: { temperature: 0, system: "Be brief." } });
    expect(handoverOf("a", { input: messages, instructions: "x" })?.params).toEqual({ instructions: "x" });
    expect(handoverOf("a", { prompt: "hi" })?.messages).toEqual([{ role: "user", content: "hi" }]);
  });

  it("is none without a conversation", () => {
    for (const body of [null, "x", [], {}, { messages: [] }, { input: 3 }]) expect(handoverOf("a", body)).toBeNull();
  });
});

describe("the address of a request", () => {
  it("keeps the tab, the body and what is looked for", () => {
    expect(requestSearch({ tab: "explain", body: "sent", find: 12 })).toEqual({
      tab: "explain",
      body: "sent",
      find: "12",
    });
    expect(requestSearch({ tab: "none" }).tab).toBeUndefined();
  });
});
