// The official OpenAI SDK for Node and Chat Completions, against an endpoint that serves the models of fake-provider.
//
// Usage: chat.mjs BASE_URL [MODEL_PREFIX [native]]; see checks.mjs.

import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { BROKEN, CITY, JSON_ANSWER, PNG, PNG_SEEN, REPORT, TEXT, WORDS, baseURL, collect, flaky, isBreak, model, native, retried, run, weather } from "./checks.mjs";

const tools = [{ type: "function", function: { name: "get_weather", description: "The weather of a city.", parameters: CITY, strict: true } }];
const user = [{ role: "user", content: TEXT }];
const picture = { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } };

const client = new OpenAI({ baseURL, apiKey: "sk-client", maxRetries: 0, timeout: 60_000 });
const body = (name, options) => ({ model: model(name), messages: user, ...options });
const create = (name, options, request) => client.chat.completions.create(body(name, options), request);
const finish = (name, options, request) => client.chat.completions.stream(body(name, options), request).finalChatCompletion();
const said = (answer) => answer.choices[0].message.content;

/** Returns a message of the model as the next request has it. */
function turn({ content, tool_calls, reasoning_content }) {
  const calls = (tool_calls ?? []).map(({ id, function: { name, arguments: json } }) => (
    { id, type: "function", function: { name, arguments: json } }
  ));
  return { role: "assistant", content, ...(calls.length && { tool_calls: calls }), ...(reasoning_content && { reasoning_content }) };
}

/** Answers the calls of a model until it reports, and returns the numbers of calls and the report. */
async function loop(answer, name) {
  const [messages, counts] = [[...user], []];
  for (;;) {
    const [{ message, finish_reason: reason }] = (await answer(name, { messages, tools })).choices;
    messages.push(turn(message));
    const calls = message.tool_calls ?? [];
    assert.equal(reason, calls.length ? "tool_calls" : "stop");
    if (!calls.length) return [counts, message.content];
    counts.push(calls.length);
    for (const call of calls) {
      const content = weather(JSON.parse(call.function.arguments).city);
      messages.push({ role: "tool", tool_call_id: call.id, content });
    }
  }
}

await run({
  async whole() {
    const answer = await create("fake-echo", { messages: [{ role: "system", content: "Be kind." }, ...user] });
    assert.deepEqual([said(answer), answer.choices[0].finish_reason], [TEXT, "stop"]);
    assert.equal(answer.usage.completion_tokens, WORDS);
    assert.equal((await create("fake-length")).choices[0].finish_reason, "length");
  },

  async stream() {
    const chunks = await collect(await create("fake-echo", { stream: true, stream_options: { include_usage: true } }));
    const words = chunks.map((chunk) => chunk.choices[0]?.delta.content).filter(Boolean);
    assert.deepEqual([words.length, words.join("")], [WORDS, TEXT]);
    assert.equal(chunks.at(-1).usage.completion_tokens, WORDS);
    assert.equal(said(await finish("fake-echo")), TEXT);
  },

  async tools_stream() {
    const chunks = await collect(await create("fake-tool", { tools, stream: true }));
    const calls = chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
    assert.equal(calls.map((call) => call.function.name ?? "").join(""), "get_weather");
    assert.equal(calls.map((call) => call.function.arguments ?? "").join(""), '{"city":"Oslo"}');
  },

  async cache() {
    const { usage } = await create("fake-cached");
    assert.deepEqual([usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens], [125, 90]);
    assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  },

  async tools() {
    for (const answer of [create, finish]) assert.deepEqual(await loop(answer, "fake-loop-3"), [[1, 1, 1], REPORT]);
  },

  async tools_with_reasoning() {
    for (const answer of [create, finish]) assert.deepEqual(await loop(answer, "fake-think-3"), [[1, 1, 1], REPORT]);
  },

  async parallel_tools() {
    for (const answer of [create, finish]) assert.deepEqual(await loop(answer, "fake-parallel-3"), [[3], REPORT]);
  },

  // The other APIs have one answer only, so that a translation refuses this.
  async two_choices() {
    if (!native) return;
    const answer = await create("fake-echo", { n: 2 });
    assert.deepEqual(answer.choices.map((choice) => choice.message.content), [TEXT, TEXT]);
    const texts = ["", ""];
    for (const chunk of await collect(await create("fake-echo", { n: 2, stream: true }))) {
      for (const choice of chunk.choices) texts[choice.index] += choice.delta.content ?? "";
    }
    assert.deepEqual(texts, [TEXT, TEXT]);
  },

  async image() {
    const content = [{ type: "text", text: "What is this?" }, picture];
    assert.equal(said(await create("fake-image", { messages: [{ role: "user", content }] })), PNG_SEEN);
  },

  // Bytes that no provider would take for an image pass unread where nothing is translated.
  async large_prompt_with_image() {
    if (!native) return;
    const url = "data:image/png;base64," + "iVBORw0KGgo".repeat(250_000);
    const text = "word ".repeat(500_000);
    const content = [{ type: "text", text }, { type: "image_url", image_url: { url } }];
    assert.ok(said(await create("fake-echo", { messages: [{ role: "user", content }] })) === text);
  },

  async structured() {
    const format = zodResponseFormat(z.object({ city: z.string(), degrees: z.number() }), "weather");
    const options = body("fake-json", { response_format: format });
    const answer = await client.chat.completions.parse(options);
    assert.deepEqual(answer.choices[0].message.parsed, JSON_ANSWER);
    const streamed = await client.chat.completions.stream(options).finalChatCompletion();
    assert.deepEqual(streamed.choices[0].message.parsed, JSON_ANSWER);
  },

  async forced_tool() {
    const tool_choice = { type: "function", function: { name: "get_weather" } };
    const [call] = (await create("fake-json", { tools, tool_choice })).choices[0].message.tool_calls;
    assert.deepEqual([call.function.name, JSON.parse(call.function.arguments)], ["get_weather", JSON_ANSWER]);
  },

  async abort() {
    const endless = await create("fake-endless", { stream: true });
    let seen = 0;
    for await (const _ of endless) if (++seen === 3) break;
    assert.equal(seen, 3);
  },

  async retries() {
    for (const answer of [create, finish]) {
      assert.equal(said(await retried(() => answer(flaky(), {}, { maxRetries: 2 }))), TEXT);
    }
  },

  async errors() {
    const expected = {
      "fake-400": OpenAI.BadRequestError,
      "fake-404": OpenAI.NotFoundError,
      "fake-429": OpenAI.RateLimitError,
      "fake-503": OpenAI.InternalServerError,
    };
    for (const [name, kind] of Object.entries(expected)) {
      for (const answer of [create, finish]) {
        await assert.rejects(answer(name), (error) => error instanceof kind && Boolean(error.error.message), name);
      }
    }
  },

  async broken_streams() {
    for (const name of BROKEN) {
      await assert.rejects(async () => collect(await create(name, { stream: true })), isBreak, name);
    }
  },

  async models() {
    assert.notEqual((await collect(await client.models.list())).length, 0);
  },
});
