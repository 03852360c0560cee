import { describe, expect, it, vi } from "vitest";
import { type Answer, errorIn, figuresOf, spreadOf, waiting, withChunk } from "./answer";
import { askModel, MAX_ANSWER } from "./ask";
import { billedWords } from "./billed";
import { blocksOf } from "./blocks";
import { bodyFor, fullBecause, isShared, MAX_TURNS, type Turn } from "./chat";
import { fieldsOf, NO_PARAMETERS } from "./parameters";
import { Pool } from "./pool";
import { EventReader } from "./sse";

const delta = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;

describe("a stream of events", () => {
  it("is the same in whatever pieces it arrives", () => {
    const stream = ': comment\r\n\r\ndata: {"a":1}\r\n\r\nevent: x\ndata: one\ndata:two\n\ndata: last';
    for (let size = 1; size <= stream.length; size += 1) {
      const reader = new EventReader();
      const events: string[] = [];
      for (let at = 0; at < stream.length; at += size) events.push(...reader.push(stream.slice(at, at + size)));
      events.push(...reader.end());
      expect(events, `in pieces of ${size}`).toEqual(['{"a":1}', "one\ntwo", "last"]);
    }
  });
});

describe("an answer", () => {
  it("grows by its chunks", () => {
    const chunks = [
      { choices: [{ delta: { role: "assistant" } }] },
      { choices: [{ delta: { reasoning_content: "hm" } }] },
      { choices: [{ delta: { content: "He" } }] },
      { choices: [{ delta: { content: "llo" }, finish_reason: "stop" }] },
      { choices: [], usage: { prompt_tokens: 3, completion_tokens: 8 } },
    ];
    const answer = chunks.reduce<Answer>((so, chunk, at) => withChunk(so, chunk, 1000 + at * 100), waiting("m", 900));
    expect(answer).toMatchObject({
      text: "Hello",
      thinking: "hm",
      finish: "stop",
      firstAt: 1100,
      tokens: { input: 3, output: 8 },
    });
    expect(figuresOf({ ...answer, endedAt: 3100 }, 9999)).toEqual({ duration: 2200, first: 200, speed: 4 });
    expect(figuresOf(waiting("m", 0), 50)).toEqual({ duration: 50, first: null, speed: null });
  });

  it("joins the pieces of tool calls", () => {
    const call = (index: number, called: object) => ({
      choices: [{ delta: { tool_calls: [{ index, function: called }] } }],
    });
    const chunks = [
      call(0, { name: "f", arguments: "" }),
      call(0, { arguments: '{"a"' }),
      call(0, { arguments: ":1}" }),
    ];
    const answer = [...chunks, call(1, { name: "g" })].reduce<Answer>(
      (so, chunk) => withChunk(so, chunk, 0),
      waiting("m", 0),
    );
    expect(answer.calls).toEqual([
      { name: "f", input: '{"a":1}' },
      { name: "g", input: "" },
    ]);
  });

  it("has the spread of the times that are known", () => {
    expect(spreadOf([null, 5, 1, null, 3])).toEqual({ least: 1, median: 3, most: 5 });
    expect([spreadOf([4, 2])?.median, spreadOf([null]), spreadOf([])]).toEqual([3, null, null]);
  });

  it("has blocks that stay the same while it grows, and code in one of them", () => {
    const text = "One\n\n```js\na\n\nb\n```\n\n- x\n- y\n\nend";
    const { settled, rest } = blocksOf(text);
    expect([settled, rest]).toEqual([["One\n\n", "```js\na\n\nb\n```\n\n", "- x\n- y\n\n"], "end"]);
    let known: string[] = [];
    for (let length = 0; length <= text.length; length += 1) {
      const now = blocksOf(text.slice(0, length));
      expect(now.settled.slice(0, known.length)).toEqual(known);
      expect(now.settled.join("") + now.rest).toBe(text.slice(0, length));
      known = now.settled;
    }
    expect(blocksOf("~~~\n```\n\nx").settled).toEqual([]);
  });

  it("says what was billed, and what is not known", () => {
    const logged = { status: "cancelled", prompt_tokens: 12, completion_tokens: 3, cost_nanos: 1_500_000 };
    expect(billedWords(logged, true)).toBe("billed until then: 12 in, 3 out, $0.0015");
    expect(billedWords({ ...logged, prompt_tokens: null, completion_tokens: null, cost_nanos: null }, true)).toBe(
      "billed until then: tokens not reported, cost unknown",
    );
    expect(billedWords({ ...logged, cost_nanos: 0 }, false)).toBe("$0");
  });

  it("survives any chunk", () => {
    for (const chunk of [null, 1, "x", [], { choices: null }, { choices: [null] }, { choices: [{ delta: 1 }] }]) {
      expect(withChunk(waiting("m", 0), chunk, 0).text).toBe("");
    }
    expect([errorIn({}), errorIn({ error: { message: "m" } }), errorIn({ error: "e" })]).toEqual([null, "m", "e"]);
  });
});

describe("asking", () => {
  const streamOf = (...parts: string[]) =>
    new Response(parts.join(""), {
      headers: { "content-type": "text/event-stream", "x-signalbox-request-id": "id-1" },
    });
  const ask = (signal = new AbortController().signal) => askModel({ model: "m" }, signal, () => undefined);

  it("goes through the relay, and ends with the stream", async () => {
    const fetched = vi
      .spyOn(globalThis, "fetch")
      .mockResolvedValueOnce(streamOf(delta("a"), delta("b"), "data: [DONE]\n\n"));
    expect(await ask()).toMatchObject({ state: "done", text: "ab", logId: "id-1" });
    expect(fetched.mock.calls[0]![0]).toBe("/api/playground/chat/completions");
    expect(JSON.parse(fetched.mock.calls[0]![1]!.body as string)).toEqual({ model: "m" });
  });

  it("reads an answer that is no stream", async () => {
    vi.spyOn(globalThis, "fetch").mockResolvedValueOnce(
      Response.json({ choices: [{ message: { content: "whole" } }] }),
    );
    expect(await ask()).toMatchObject({ state: "done", text: "whole" });
  });

  it("keeps the text before an error", async () => {
    const error = `data: ${JSON.stringify({ error: { message: "overloaded" } })}\n\n`;
    vi.spyOn(globalThis, "fetch").mockResolvedValueOnce(streamOf(delta("a"), error));
    expect(await ask()).toMatchObject({ state: "failed", text: "a", problem: { message: "overloaded" } });
  });

  it("says why it was refused", async () => {
    const body = { error: { message: "The router does not answer", code: "router_unavailable" } };
    vi.spyOn(globalThis, "fetch").mockResolvedValueOnce(Response.json(body, { status: 503 }));
    expect(await ask()).toMatchObject({ state: "failed", problem: { details: { code: "router_unavailable" } } });
  });

  it("names the logged request of a refusal", async () => {
    const refused = new Response("busy", { status: 429, headers: { "x-signalbox-request-id": "id-2" } });
    vi.spyOn(globalThis, "fetch").mockResolvedValueOnce(refused);
    const answer = await ask();
    expect(answer).toMatchObject({ state: "failed", logId: "id-2", problem: { message: "busy" } });
    expect(answer.problem?.details.status).toBe(429);
  });

  it("ends an answer that is too long, and cancels the stream", async () => {
    const cancelled = vi.fn();
    const endless = new ReadableStream({
      pull: (stream) => stream.enqueue(new TextEncoder().encode(delta("x".repeat(1 << 20)))),
      cancel: cancelled,
    });
    vi.spyOn(globalThis, "fetch").mockResolvedValueOnce(new Response(endless));
    const answer = await ask();
    expect(answer.state).toBe("failed");
    expect(answer.text.length).toBeGreaterThan(MAX_ANSWER);
    expect(cancelled).toHaveBeenCalledOnce();
  });

  it("is stopped by its signal", async () => {
    const stop = new AbortController();
    vi.spyOn(globalThis, "fetch").mockImplementationOnce(async () => {
      stop.abort();
      throw new DOMException("aborted", "AbortError");
    });
    expect(await ask(stop.signal)).toMatchObject({ state: "stopped", problem: null });
  });
});

describe("a pool", () => {
  it("runs no more at once than it has places, in order, and lets aborted ones go", async () => {
    const pool = new Pool(2);
    const began: number[] = [];
    const ends = new Map<number, () => void>();
    const work = (n: number) => () => {
      began.push(n);
      return new Promise<number>((resolve) => ends.set(n, () => resolve(n)));
    };
    const stop = new AbortController();
    const never = new AbortController().signal;
    const all = [1, 2, 3, 4, 5].map((n) => pool.run(n === 3 ? stop.signal : never, work(n)));
    const settle = () => Promise.allSettled([Promise.resolve().then(() => undefined)]);
    await settle();
    expect(began).toEqual([1, 2]);
    stop.abort();
    await settle();
    expect(began).toEqual([1, 2, 3]);
    ends.get(1)?.();
    await all[0];
    await settle();
    expect(began).toEqual([1, 2, 3, 4]);
    // One that left the queue had no place to give away.
    ends.get(3)?.();
    await all[2];
    await settle();
    expect(began).toEqual([1, 2, 3, 4]);
    ends.get(2)?.();
    await all[1];
    await settle();
    expect(began).toEqual([1, 2, 3, 4, 5]);
    ends.get(4)?.();
    ends.get(5)?.();
    expect(await Promise.all(all)).toEqual([1, 2, 3, 4, 5]);
  });
});

describe("a conversation", () => {
  const answered = (text: string): Answer => ({ ...waiting("m", 0), state: "done", text });
  const asked = (text: string, ...images: string[]) => ({ text, images });
  const settings = { system: " ", fields: { temperature: 0 } };
  const turns: Turn[] = [
    {
      id: 1,
      asked: { a: asked("one"), b: asked("one") },
      answers: { a: [answered("1a"), answered("1a again")], b: [answered("")] },
      shown: { a: 1 },
      settings,
    },
    {
      id: 2,
      asked: { a: asked("two", "data:image/png;base64,AA"), b: asked("two for b") },
      answers: {},
      shown: {},
      settings,
    },
  ];

  it("continues with what each model was asked, and answered", () => {
    const of = (side: "a" | "b") => bodyFor("m", [], turns, side).messages;
    expect(of("a").slice(0, 2)).toEqual([
      { role: "user", content: "one" },
      { role: "assistant", content: "1a again" },
    ]);
    expect(of("a")[2]).toEqual({
      role: "user",
      content: [
        { type: "text", text: "two" },
        { type: "image_url", image_url: { url: "data:image/png;base64,AA" } },
      ],
    });
    expect(of("b")).toEqual([{ role: "user", content: "two for b" }]);
    expect(turns.map(isShared)).toEqual([true, false]);
  });

  it("begins with the system prompt, and what was handed over", () => {
    const last = { ...turns[1]!, settings: { system: "be brief", fields: { seed: 1 } } };
    const body = bodyFor("m", [{ role: "user", content: "before" }], [turns[0]!, last], "b");
    expect(body).toMatchObject({ seed: 1, model: "m", stream: true });
    expect(body.messages.map((message) => (message as { role: string }).role)).toEqual(["system", "user", "user"]);
  });

  it("ends where it is too large", () => {
    expect(fullBecause([], turns)).toBeUndefined();
    expect(fullBecause([], Array(MAX_TURNS).fill(turns[0]))).toMatch(/clear it/);
    const picture = `data:image/png;base64,${"A".repeat(13 << 20)}`;
    expect(fullBecause([], [{ ...turns[1]!, asked: { a: asked("", picture, picture) } }])).toMatch(/too large/);
  });
});

describe("parameters", () => {
  const given = (change: object) => fieldsOf({ ...NO_PARAMETERS, ...change });

  it("are sent if they are given", () => {
    expect(fieldsOf(NO_PARAMETERS)).toEqual({ fields: {}, mistakes: new Map() });
    expect(given({ temperature: " 0.2 ", maxTokens: "9", more: '{"seed":1}' }).fields).toEqual({
      temperature: 0.2,
      max_tokens: 9,
      seed: 1,
    });
    const tool = { type: "function", function: { name: "f", parameters: {} } };
    expect(given({ tools: JSON.stringify([tool]) }).fields).toEqual({ tools: [tool] });
    const schema = { type: "object" };
    const format = (json_schema: object) => ({ response_format: { type: "json_schema", json_schema } });
    expect(given({ schema: JSON.stringify(schema) }).fields).toEqual(format({ name: "answer", schema }));
    expect(given({ schema: JSON.stringify({ name: "n", strict: true, schema }) }).fields).toEqual(
      format({ name: "n", strict: true, schema }),
    );
  });

  it("that are wrong say what is wrong, and are not sent", () => {
    const wrong: [object, RegExp][] = [
      [{ temperature: "much" }, /from 0 to 2/],
      [{ temperature: "2.1" }, /from 0 to 2/],
      [{ topP: "-1" }, /from 0 to 1/],
      [{ maxTokens: "1.5" }, /whole number/],
      [{ maxTokens: "0" }, /whole number/],
      [{ tools: "{" }, /must be JSON/],
      [{ tools: "{}" }, /JSON array/],
      [{ tools: '[{"function":{"name":"f"}}]' }, /\[0\]\.type is missing/],
      [{ tools: '[{"type":"function"}]' }, /\[0\]\.function\.name/],
      [{ tools: '[{"type":"function","function":{"name":"f","parameters":[]}}]' }, /parameters/],
      [
        { tools: '[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"f"}}]' },
        /another/,
      ],
      [{ schema: "[]" }, /JSON object/],
      [{ more: "1" }, /JSON object/],
      [{ more: '{"model":"x"}' }, /cannot be set here/],
      [{ temperature: "1", more: '{"temperature":2}' }, /field of its own/],
    ];
    for (const [change, words] of wrong) {
      const { fields, mistakes } = given(change);
      expect([...mistakes.values()].flat().join(), JSON.stringify(change)).toMatch(words);
      expect(Object.keys(fields).filter((name) => name !== "temperature")).toEqual([]);
    }
  });
});
