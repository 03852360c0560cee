import { describe, expect, it } from "vitest";
import { waiting } from "./answer";
import type { Turn } from "./chat";
import { HANDOVER, handoverFrom, takeHandover } from "./handover";
import { EMPTY, MAX_STORED, type Playground, restored, storedText } from "./stored";
import { existing, firstName, isKnown, namesOf } from "./use-models";

const turn = (id: number, text: string, answer = "answer"): Turn => ({
  id,
  asked: { a: { text, images: [] } },
  answers: { a: [{ ...waiting("m", 5), state: "done", text: answer, endedAt: 9, tokens: { input: 1, output: null } }] },
  shown: {},
  settings: { system: "s", fields: { temperature: 1 } },
});

describe("what the tab keeps", () => {
  it("is the same after a reload", () => {
    const state: Playground = {
      ...EMPTY,
      models: { a: "m", b: "n" },
      parameters: { ...EMPTY.parameters, tools: "[" },
      before: [{ role: "user", content: "x" }],
      turns: [turn(1, "one"), turn(2, "two")],
      input: { a: { text: "draft", images: [] }, b: { text: "", images: [] } },
      apart: true,
      times: 5,
    };
    expect(restored(storedText(state))).toEqual(state);
  });

  it("has no images, and says so", () => {
    const image = "data:image/png;base64,AAAA";
    const first = { ...turn(1, "one"), asked: { a: { text: "one", images: [image, image] } } };
    const before = [{ role: "user", content: [{ type: "image_url", image_url: { url: image } }] }];
    const text = storedText({
      ...EMPTY,
      before,
      turns: [first],
      input: { ...EMPTY.input, a: { text: "", images: [image] } },
    });
    expect(text).not.toContain("base64");
    const back = restored(text);
    expect([back.turns[0]?.asked.a, back.input.a]).toEqual([
      { text: "one", images: [], lost: 2 },
      { text: "", images: [], lost: 1 },
    ]);
    expect(restored(storedText(back)).input.a.lost).toBe(1);
  });

  it("has no keys", () => {
    const keys = [
      "sk-proj-0123456789abcdefghij",
      "sbx-0123456789abcdefghijklmnop",
      "Bearer abcdefghijklmnopqrstuvwxyz",
    ];
    const state = {
      ...EMPTY,
      turns: [turn(1, `my key is ${keys[0]}`, keys[1])],
      input: { ...EMPTY.input, a: { text: keys[2]!, images: [] } },
    };
    const text = storedText(state);
    for (const key of keys) expect(text).not.toContain(key.slice(-16));
    expect(restored(text).turns[0]?.asked.a?.text).toBe("my key is [key]");
    expect(
      restored(storedText({ ...EMPTY, turns: [turn(1, "a sk-learn task-based idea")] })).turns[0]?.asked.a?.text,
    ).toBe("a sk-learn task-based idea");
  });

  it("is bounded: the newest turns are kept, and the others counted", () => {
    const turns = Array.from({ length: 12 }, (_, at) => turn(at + 1, `${at}`, "x".repeat(MAX_STORED / 8)));
    const text = storedText({ ...EMPTY, turns });
    expect(text!.length).toBeLessThanOrEqual(MAX_STORED);
    const back = restored(text);
    expect(back.turns.length).toBeGreaterThan(3);
    expect(back.turns.at(-1)?.asked.a?.text).toBe("11");
    expect(back.forgotten + back.turns.length).toBe(12);
    const wide = { ...EMPTY, input: { ...EMPTY.input, a: { text: "x".repeat(MAX_STORED), images: [] } } };
    expect(storedText(wide)).toBeNull();
  });

  it("says that a reload has cancelled what was on its way", () => {
    const running = turn(1, "one");
    running.answers.a = [{ ...waiting("m", 5), state: "streaming", text: "so f" }];
    expect(restored(storedText({ ...EMPTY, turns: [running] })).turns[0]?.answers.a?.[0]).toMatchObject({
      state: "failed",
      text: "so f",
      problem: { message: expect.stringContaining("loaded again") },
    });
  });

  it("can be anything", () => {
    for (const text of [null, "", "null", "[]", "{", "3", '"x"', "{}"]) expect(restored(text)).toEqual(EMPTY);
    const odd = {
      turns: [1, {}, { asked: { a: 1 }, answers: { a: [null, {}] }, shown: { a: "x" } }],
      input: 5,
      times: 7,
      before: [1],
    };
    const back = restored(JSON.stringify(odd));
    expect([back.turns.length, back.times, back.before.length, back.input]).toEqual([2, 1, 0, EMPTY.input]);
    expect(back.turns[1]?.answers.a?.[0]).toMatchObject({ state: "stopped", text: "" });
  });
});

describe("a handover", () => {
  it("is read once", () => {
    const kept = new Map([[HANDOVER, JSON.stringify({ messages: [{ role: "user", content: "hi" }], model: "m" })]]);
    const storage = {
      getItem: (key: string) => kept.get(key) ?? null,
      removeItem: (key: string) => void kept.delete(key),
    };
    expect(takeHandover(() => storage)).toMatchObject({ model: "m", input: { text: "hi" }, before: [] });
    expect(takeHandover(() => storage)).toBeNull();
    kept.set(HANDOVER, "{");
    expect([takeHandover(() => storage), kept.size]).toEqual([null, 0]);
    const forbidden = () => {
      throw new DOMException("no", "SecurityError");
    };
    expect(takeHandover(forbidden)).toBeNull();
    for (const value of [null, 1, {}, { messages: "x" }]) expect(handoverFrom(value)).toBeNull();
    const prompts = handoverFrom({ messages: ["one", "two"], params: { tool_choice: { type: "any" } } });
    expect(prompts).toMatchObject({
      before: [{ role: "user", content: "one" }],
      input: { text: "two" },
      left: ["tool_choice"],
    });
  });

  it("of Chat Completions goes on where the request began", () => {
    const found = handoverFrom({
      model: "m",
      messages: [
        { role: "system", content: "be brief" },
        { role: "user", content: "list" },
        { role: "assistant", content: null, tool_calls: [{ id: "c", function: { name: "ls", arguments: "{}" } }] },
        { role: "tool", tool_call_id: "c", content: "a b" },
        {
          role: "user",
          content: [
            { type: "text", text: "look" },
            { type: "image_url", image_url: { url: "data:image/png;base64,AA" } },
          ],
        },
      ],
      params: { temperature: 0.5, max_tokens: 7, seed: 3, metadata: { a: 1 }, stream: true, model: "x" },
    });
    expect(found).toMatchObject({
      parameters: {
        system: "be brief",
        temperature: "0.5",
        maxTokens: "7",
        more: JSON.stringify({ seed: 3 }, null, 2),
      },
      input: { text: "look", images: ["data:image/png;base64,AA"] },
      left: ["metadata"],
    });
    expect(found?.before).toEqual([
      { role: "user", content: "list" },
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "c", type: "function", function: { name: "ls", arguments: "{}" } }],
      },
      { role: "tool", tool_call_id: "c", content: "a b" },
    ]);
  });

  it("of Messages and Responses takes their form", () => {
    const messages = handoverFrom({
      messages: [
        { role: "user", content: "go" },
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "hm" },
            { type: "tool_use", id: "t", name: "ls", input: { d: 1 } },
          ],
        },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "t", content: "ok" },
            { type: "text", text: "and?" },
          ],
        },
      ],
      params: {
        system: [{ type: "text", text: "sys" }],
        stop_sequences: ["x"],
        tools: [{ name: "ls", input_schema: { type: "object" } }],
      },
    });
    expect(messages).toMatchObject({ parameters: { system: "sys" }, input: { text: "" }, left: ["thinking"] });
    expect(messages?.before.map((message) => (message as { role: string }).role)).toEqual([
      "user",
      "assistant",
      "tool",
      "user",
    ]);
    expect(JSON.parse(messages!.parameters.tools)).toEqual([
      { type: "function", function: { name: "ls", parameters: { type: "object" } } },
    ]);
    const call = (id: string) => ({ type: "function_call", call_id: id, name: "ls", arguments: "{}" });
    const result = (id: string) => ({ type: "function_call_output", call_id: id, output: "ok" });
    const responses = handoverFrom({
      messages: [
        { role: "user", content: [{ type: "input_text", text: "go" }] },
        call("1"),
        call("2"),
        result("1"),
        result("2"),
      ],
      params: { instructions: "sys", max_output_tokens: 9 },
    });
    expect(responses).toMatchObject({ parameters: { system: "sys", maxTokens: "9" } });
    expect(responses?.before.map((message) => (message as { role: string }).role)).toEqual([
      "user",
      "assistant",
      "tool",
      "tool",
    ]);
    expect((responses!.before[1] as { tool_calls: unknown[] }).tool_calls).toHaveLength(2);
  });
});

describe("names", () => {
  const routes = [
    { model: "fast", enabled: true, aliases: ["quick"] },
    { model: "off", enabled: false },
    { model: "gpt-*", enabled: true },
  ];
  const names = { routes, models: ["echo", "qwen"], providers: ["openai"], preferred: "qwen" };

  it("are those of routes and models", () => {
    expect(namesOf(names)).toEqual(["fast", "quick", "echo", "qwen"]);
  });

  it("begin with one that exists", () => {
    expect(firstName(names)).toBe("fast");
    expect(firstName({ ...names, routes: [] })).toBe("qwen");
    expect(firstName({ ...names, routes: [], preferred: "deleted" })).toBe("echo");
    expect(firstName({ routes: [], models: [], providers: [], preferred: undefined })).toBeUndefined();
  });

  it("can be known in several ways, and deleted", () => {
    const known = ["fast", "quick", "echo", "openai/anything", "gpt-5", "gpt-"].map((name) => isKnown(name, names));
    expect(known).toEqual([true, true, true, true, true, true]);
    expect(["off", "gone", "openai", "", "gpt"].map((name) => isKnown(name, names))).toEqual([
      false,
      false,
      false,
      false,
      false,
    ]);
    expect(existing({ a: "gone", b: "echo" }, names)).toEqual({ b: "echo" });
  });
});
