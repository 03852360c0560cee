// The official Anthropic SDK for Node against an endpoint that serves the models of fake-provider.
//
// Usage: messages.mjs BASE_URL [MODEL_PREFIX [native]]; see checks.mjs. The SDK appends `/v1` itself.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { BROKEN, CITY, JSON_ANSWER, PNG, PNG_SEEN, REPORT, TEXT, WORDS, baseURL, collect, flaky, isBreak, model, native, retried, run, weather } from "./checks.mjs";

const tools = [{ name: "get_weather", description: "The weather of a city.", input_schema: CITY }];
const user = [{ role: "user", content: TEXT }];
const picture = { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } };
const schema = {
  type: "object",
  properties: { city: { type: "string" }, degrees: { type: "integer" } },
  required: ["city", "degrees"],
  additionalProperties: false,
};

const client = new Anthropic({ baseURL: baseURL.replace(/\/v1$/, ""), apiKey: "sk-client", maxRetries: 0, timeout: 60_000 });
const body = (name, options) => ({ model: model(name), messages: user, max_tokens: 1024, ...options });
const create = (name, options, request) => client.messages.create(body(name, options), request);
const finish = (name, options, request) => client.messages.stream(body(name, options), request).finalMessage();
const textOf = (message) => message.content.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("");

/** Answers the calls of a model until it reports, and returns the numbers of calls and the report. */
async function loop(answer, name) {
  const [messages, counts] = [[...user], []];
  for (;;) {
    const message = await answer(name, { messages, tools });
    messages.push({ role: "assistant", content: message.content });
    const calls = message.content.filter((block) => block.type === "tool_use");
    assert.equal(message.stop_reason, calls.length ? "tool_use" : "end_turn");
    if (!calls.length) return [counts, textOf(message)];
    counts.push(calls.length);
    const content = calls.map(({ id, input }) => ({ type: "tool_result", tool_use_id: id, content: weather(input.city) }));
    messages.push({ role: "user", content });
  }
}

await run({
  async whole() {
    const message = await create("fake-echo");
    assert.deepEqual([textOf(message), message.stop_reason, message.usage.output_tokens], [TEXT, "end_turn", WORDS]);
  },

  async stream() {
    const stream = client.messages.stream(body("fake-echo"));
    const words = [];
    stream.on("text", (word) => words.push(word));
    const message = await stream.finalMessage();
    assert.equal(words.length, WORDS);
    assert.deepEqual([words.join(""), textOf(message)], [TEXT, TEXT]);
    assert.deepEqual([message.stop_reason, message.usage.output_tokens], ["end_turn", WORDS]);
  },

  async events() {
    const kinds = (await collect(await create("fake-tool", { tools, stream: true }))).map((event) => event.type);
    assert.equal(kinds[0], "message_start");
    assert.deepEqual(kinds.slice(-3), ["content_block_stop", "message_delta", "message_stop"]);
  },

  async thinking() {
    const message = await finish("fake-reasoning", { thinking: { type: "adaptive" } });
    assert.equal(textOf(message), TEXT);
    if (!native) return;
    assert.equal(message.content[0].thinking, "Let me think about that.");
    assert.ok(message.content[0].signature);
  },

  async cache() {
    const { usage } = await finish("fake-cached");
    const { input_tokens, cache_read_input_tokens, cache_creation_input_tokens } = usage;
    assert.deepEqual([input_tokens, cache_read_input_tokens, cache_creation_input_tokens], [10, 90, 25]);
  },

  async tools() {
    for (const answer of [create, finish]) assert.deepEqual(await loop(answer, "fake-loop-3"), [[1, 1, 1], REPORT]);
  },

  async tools_with_thinking() {
    for (const answer of [create, finish]) assert.deepEqual(await loop(answer, "fake-think-3"), [[1, 1, 1], REPORT]);
  },

  async parallel_tools() {
    for (const answer of [create, finish]) assert.deepEqual(await loop(answer, "fake-parallel-3"), [[3], REPORT]);
  },

  async image() {
    const content = [{ type: "text", text: "What is this?" }, picture];
    assert.equal(textOf(await create("fake-image", { messages: [{ role: "user", content }] })), PNG_SEEN);
  },

  async structured() {
    const message = await create("fake-json", { output_config: { format: { type: "json_schema", schema } } });
    assert.deepEqual(JSON.parse(textOf(message)), JSON_ANSWER);
  },

  async forced_tool() {
    const message = await create("fake-json", { tools, tool_choice: { type: "tool", name: "get_weather" } });
    assert.deepEqual([message.content[0].name, message.content[0].input], ["get_weather", JSON_ANSWER]);
  },

  async count_tokens() {
    const count = await client.messages.countTokens({ model: model("fake-echo"), messages: user, tools });
    assert.ok(count.input_tokens > 0);
  },

  async abort() {
    const endless = await create("fake-endless", { stream: true });
    let seen = 0;
    for await (const _ of endless) if (++seen === 5) break;
    assert.equal(seen, 5);
  },

  async retries() {
    for (const answer of [create, finish]) {
      assert.equal(textOf(await retried(() => answer(flaky(), {}, { maxRetries: 2 }))), TEXT);
    }
  },

  async errors() {
    const expected = {
      "fake-400": Anthropic.BadRequestError,
      "fake-404": Anthropic.NotFoundError,
      "fake-429": Anthropic.RateLimitError,
      "fake-500": Anthropic.InternalServerError,
      "fake-529": Anthropic.InternalServerError,
    };
    for (const [name, kind] of Object.entries(expected)) {
      for (const answer of [create, finish]) {
        await assert.rejects(answer(name), (error) => error instanceof kind && Boolean(error.error.error.message), name);
      }
    }
  },

  async broken_streams() {
    for (const name of BROKEN) await assert.rejects(finish(name), isBreak, name);
  },

  async models() {
    assert.notEqual((await collect(client.models.list())).length, 0);
  },
});
