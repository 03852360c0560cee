import { describe, expect, it, vi } from "vitest";
import { dollars } from "../../../format/numbers";
import { compare } from "../../../workers/diff";
import { compareCalls } from "./compare-calls";
import { answerOf, errorIn, type LiveAnswer, NOTHING, wholeAnswer, withEvent } from "./live-answer";
import { foldedPieces, summaryOf } from "./pieces";
import { changesOf, costWords, editable, isSame, MAX_EDITED, planOf } from "./plan";
import { runReplay } from "./run";

const ASKED = { model: "a", temperature: 1, stop: "x", messages: [{ role: "user", content: "hi" }] };
const INPUT = { provider: "", model: "", times: "1", body: editable(JSON.stringify(ASKED))!.edited };

describe("the input of a replay", () => {
  it("that is left alone changes nothing", () => {
    expect(planOf(INPUT, ASKED, true)).toEqual({ command: {}, mistakes: {} });
    expect(planOf({ ...INPUT, model: " a " }, ASKED, true).command).toEqual({});
  });

  it("sends the fields that differ, and removes those that are gone", () => {
    const body = JSON.stringify({ temperature: 0, messages: ASKED.messages, stream: true });
    const { command } = planOf({ provider: "p", model: "b", times: "3", body }, ASKED, true);
    expect(command).toEqual({
      provider: "p",
      model: "b",
      times: 3,
      changes: { temperature: 0, stream: true, stop: null },
    });
  });

  it("shows every mistake", () => {
    for (const times of ["0", "21", "1.5", "", "x"])
      expect(planOf({ ...INPUT, times }, ASKED, true).mistakes.times).toHaveLength(1);
    for (const body of ["", "{", "[]", "3", '{"model": "b"}'])
      expect(planOf({ ...INPUT, body }, ASKED, true).mistakes.body).toHaveLength(1);
  });

  it("replaces single fields of a body that is too long to be edited", () => {
    const long = JSON.stringify({ model: "a", text: "x".repeat(MAX_EDITED) });
    const parts = editable(long)!;
    expect([parts.isWhole, parts.edited]).toEqual([false, "{}"]);
    const input = { ...INPUT, body: '{"temperature": 0, "stop": null}' };
    expect(planOf(input, parts.body, false).command.changes).toEqual({ temperature: 0, stop: null });
    expect(planOf({ ...input, body: "{}" }, parts.body, false).command).toEqual({});
  });

  it("is no object, so that nothing can be repeated", () => {
    expect([editable("[]"), editable("no JSON"), editable("")]).toEqual([null, null, null]);
  });

  it("is compared whatever the order of its fields is", () => {
    expect(isSame({ a: [1, { b: 2, c: 3 }] }, { a: [1, { c: 3, b: 2 }] })).toBe(true);
    expect(isSame([1, 2], [2, 1])).toBe(false);
    expect(changesOf({ a: { b: 1, c: 2 } }, { a: { c: 2, b: 1 } })).toEqual({});
  });

  it("says what it may cost", () => {
    const here = { times: 1, isElsewhere: false };
    expect(costWords(null, here, dollars)).toMatch(/not known/);
    expect(costWords(20_000_000, here, dollars)).toMatch(/about \$0.02/);
    expect(costWords(20_000_000, { ...here, times: 5 }, dollars)).toMatch(/about \$0.1.*5 times/);
    expect(costWords(20_000_000, { times: 5, isElsewhere: true }, dollars)).toMatch(/more or less.*5 times/);
  });
});

describe("an answer that arrives", () => {
  const through = (events: unknown[]) => events.reduce<LiveAnswer>(withEvent, NOTHING);

  it("is read in each API", () => {
    const call = (index: number, name: string, piece: string) => ({
      choices: [{ delta: { tool_calls: [{ index, function: { name, arguments: piece } }] } }],
    });
    expect(
      through([
        { choices: [{ delta: { role: "assistant", reasoning_content: "Hm" } }] },
        { choices: [{ delta: { content: "Hel" } }] },
        { choices: [{ delta: { content: "lo" } }] },
        call(0, "look", '{"a"'),
        call(0, "", ":1}"),
        call(1, "go", "{}"),
        { choices: [], usage: { prompt_tokens: 1 } },
      ]),
    ).toEqual({
      text: "Hello",
      thinking: "Hm",
      calls: [
        { name: "look", input: '{"a":1}' },
        { name: "go", input: "{}" },
      ],
    });
    expect(
      through([
        { type: "message_start", message: {} },
        { type: "content_block_delta", delta: { type: "thinking_delta", thinking: "Hm" } },
        { type: "content_block_delta", delta: { type: "text_delta", text: "Hello" } },
        { type: "content_block_start", content_block: { type: "tool_use", name: "look" } },
        { type: "content_block_delta", delta: { type: "input_json_delta", partial_json: '{"a":1}' } },
        { type: "message_stop" },
      ]),
    ).toEqual({ text: "Hello", thinking: "Hm", calls: [{ name: "look", input: '{"a":1}' }] });
    expect(
      through([
        { type: "response.created", response: { error: null } },
        { type: "response.output_text.delta", delta: "Hel" },
        { type: "response.output_text.delta", delta: "lo" },
        { type: "response.output_item.added", item: { type: "function_call", name: "look" } },
        { type: "response.function_call_arguments.delta", delta: '{"a":1}' },
      ]),
    ).toEqual({ text: "Hello", thinking: "", calls: [{ name: "look", input: '{"a":1}' }] });
    expect(through([{ choices: [{ text: "Hello" }] }]).text).toBe("Hello");
  });

  it("ignores what is not understood", () => {
    for (const event of [null, 3, "x", [], {}, { choices: [null] }, { type: "unknown", delta: 3 }])
      expect(withEvent(NOTHING, event)).toEqual(NOTHING);
    expect(withEvent(NOTHING, { type: "content_block_delta", delta: { type: "input_json_delta" } })).toEqual(NOTHING);
  });

  it("reports its error", () => {
    expect(errorIn({ error: { message: "no quota" } })).toBe("no quota");
    expect(errorIn({ type: "response.failed", response: { error: { message: "broken" } } })).toBe("broken");
    expect([errorIn({ error: null }), errorIn({}), errorIn(null)]).toEqual([null, null, null]);
  });

  it("in one piece is the same", () => {
    const body = {
      choices: [{ message: { content: "Hello", tool_calls: [{ function: { name: "look", arguments: "{}" } }] } }],
    };
    expect(wholeAnswer(body)).toEqual({ text: "Hello", thinking: "", calls: [{ name: "look", input: "{}" }] });
    expect(answerOf([])).toEqual(NOTHING);
  });
});

describe("tool calls", () => {
  it("are paired by name, and compared whatever the order of their arguments is", () => {
    const rows = compareCalls(
      [
        { name: "look", input: '{"a":1,"b":2}' },
        { name: "go", input: '{"to":"x"}' },
        { name: "stop", input: "{}" },
      ],
      [
        { name: "go", input: '{"to":"y"}' },
        { name: "look", input: '{"b":2, "a":1}' },
        { name: "wait", input: "not JSON" },
      ],
    );
    expect(rows.map(({ name, isSame, differing }) => [name, isSame, differing])).toEqual([
      ["look", true, []],
      ["go", false, ["to"]],
      ["stop", false, []],
      ["wait", false, []],
    ]);
    expect([rows[2]?.after, rows[3]?.before]).toEqual([null, null]);
  });
});

describe("the comparison of texts", () => {
  it("is by words or lines, and has both texts in it", () => {
    const [before, after] = ["one two three\nfour\n", "one 2 three\nfour\nfive\n"];
    for (const unit of ["words", "lines"] as const) {
      const { pieces } = compare({ before, after, unit });
      const side = (without: string) =>
        pieces
          ?.filter(({ kind }) => kind !== without)
          .map(({ text }) => text)
          .join("");
      expect([side("added"), side("removed")]).toEqual([before, after]);
    }
  });

  it("of long texts is by lines, and gives up beyond a limit", () => {
    const long = "word\n".repeat(30_000);
    expect(compare({ before: long, after: `${long}end\n` })).toMatchObject({ unit: "lines", pieces: { length: 2 } });
    expect(compare({ before: "x".repeat(2_000_001), after: "" }).pieces).toBeNull();
  });

  it("says how much both have in common", () => {
    expect(summaryOf(compare({ before: "a b", after: "a b" }).pieces!, "words")).toBe("The same text");
    expect(
      summaryOf(
        [
          { kind: "removed", text: "a" },
          { kind: "added", text: "b" },
        ],
        "words",
      ),
    ).toMatch(/^0 % /);
  });

  it("leaves out the middle of what both have", () => {
    const [piece] = foldedPieces([{ kind: "same", text: `begin${"x".repeat(10_000)}end` }]);
    expect(piece?.text).toMatch(/^beginx+\n… 8,008 characters that both have …\nx+end$/);
    expect(foldedPieces([{ kind: "added", text: "x".repeat(10_000) }])[0]?.text).toHaveLength(10_000);
  });
});

describe("a replay", () => {
  const answers = (body: BodyInit, init: ResponseInit) =>
    vi.stubGlobal(
      "fetch",
      vi.fn(async () => new Response(body, init)),
    );
  const send = (command = {}) =>
    runReplay(
      "1",
      command,
      new AbortController().signal,
      () => {},
      () => 0,
    );
  const STREAM = { headers: { "content-type": "text/event-stream", "x-signalbox-request-id": "new" } };

  it("streams its answer, and knows its place in the log", async () => {
    answers(
      'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\ndata: {"choices":[{"delta":{"content":"lo"}}]}\n\ndata: [DONE]\n\n',
      STREAM,
    );
    expect(await send()).toMatchObject({ state: "done", logId: "new", answer: { text: "Hello" } });
  });

  it("fails with the words of the router, and is logged all the same", async () => {
    const headers = { "content-type": "application/json", "x-signalbox-request-id": "new" };
    answers('{"error":{"message":"no such model"}}', { status: 404, headers });
    expect(await send()).toMatchObject({ state: "failed", logId: "new", problem: { message: "no such model" } });
    answers('data: {"choices":[{"delta":{"content":"Hel"}}]}\n\ndata: {"error":{"message":"broken"}}\n\n', STREAM);
    expect(await send()).toMatchObject({ state: "failed", answer: { text: "Hel" }, problem: { message: "broken" } });
  });

  it("sent several times has outcomes", async () => {
    const replays = [{ request_id: "x", status_code: 200, duration_ms: 5, complete: true, error: null }];
    answers(JSON.stringify({ replay_of: "1", replays }), { headers: { "content-type": "application/json" } });
    expect(await send({ times: 2 })).toMatchObject({ state: "done", outcomes: replays });
  });

  it("can be stopped", async () => {
    const end = new AbortController();
    vi.stubGlobal("fetch", async () => {
      end.abort();
      throw new DOMException("stopped", "AbortError");
    });
    expect(
      await runReplay(
        "1",
        {},
        end.signal,
        () => {},
        () => 0,
      ),
    ).toMatchObject({ state: "stopped", problem: null });
  });
});
