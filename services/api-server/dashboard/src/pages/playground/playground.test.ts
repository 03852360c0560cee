import { describe, expect, it, vi } from "vitest";
import { type Answer, errorIn, figuresOf, waiting, withChunk } from "./answer";
import { askModel } from "./ask";
import { bodyFor, fieldsOf, NO_PARAMETERS, type Turn } from "./chat";
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

  it("is stopped by its signal", async () => {
    const stop = new AbortController();
    vi.spyOn(globalThis, "fetch").mockImplementationOnce(async () => {
      stop.abort();
      throw new DOMException("aborted", "AbortError");
    });
    expect(await ask(stop.signal)).toMatchObject({ state: "stopped", problem: null });
  });
});

describe("a conversation", () => {
  const answered = (text: string): Answer => ({ ...waiting("m", 0), state: "done", text });
  const turns: Turn[] = [
    { id: 1, text: "one", images: [], answers: { a: answered("1a"), b: answered("") } },
    { id: 2, text: "two", images: ["data:image/png;base64,AA"], answers: {} },
  ];

  it("continues with what each model answered", () => {
    const of = (side: "a" | "b") => bodyFor("m", turns, side, " ", { temperature: 0 }).messages as unknown[];
    expect(of("a").slice(0, 2)).toEqual([
      { role: "user", content: "one" },
      { role: "assistant", content: "1a" },
    ]);
    expect(of("b")).toEqual([
      {
        role: "user",
        content: [
          { type: "text", text: "two" },
          { type: "image_url", image_url: { url: "data:image/png;base64,AA" } },
        ],
      },
    ]);
    expect(bodyFor("m", turns, "a", "be brief", {}).messages).toHaveLength(4);
  });

  it("sends the parameters that are given, and says what is wrong with the others", () => {
    expect(fieldsOf(NO_PARAMETERS)).toEqual({ fields: {}, mistakes: new Map() });
    const given = { ...NO_PARAMETERS, temperature: " 0.2 ", maxTokens: "9", more: '{"seed":1}' };
    expect(fieldsOf(given).fields).toEqual({ temperature: 0.2, max_tokens: 9, seed: 1 });
    const wrong = fieldsOf({ ...NO_PARAMETERS, topP: "much", more: '{"model":"x"}' }).mistakes;
    expect([...wrong.keys()]).toEqual(["topP", "more"]);
    for (const more of ["{", "[]", "1"]) expect(fieldsOf({ ...NO_PARAMETERS, more }).mistakes.has("more")).toBe(true);
  });
});
