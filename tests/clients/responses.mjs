// The official OpenAI SDK for Node and Responses, against an endpoint that serves the models of fake-provider.
//
// Usage: responses.mjs BASE_URL [MODEL_PREFIX [native]]; see checks.mjs.

import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { BROKEN, CITY, JSON_ANSWER, PNG, PNG_SEEN, REPORT, TEXT, WORDS, baseURL, collect, flaky, isBreak, model, native, retried, run, weather } from "./checks.mjs";

const tools = [{ type: "function", name: "get_weather", description: "The weather of a city.", parameters: CITY, strict: true }];
const user = [{ role: "user", content: TEXT }];
const picture = { type: "input_image", image_url: `data:image/png;base64,${PNG}`, detail: "auto" };

const client = new OpenAI({ baseURL, apiKey: "sk-client", maxRetries: 0, timeout: 60_000 });
const body = (name, options) => ({ model: model(name), input: user, ...options });
const create = (name, options, request) => client.responses.create(body(name, options), request);
const finish = (name, options, request) => client.responses.stream(body(name, options), request).finalResponse();

/** Answers the calls of a model until it reports, and returns the numbers of calls and the report. */
async function loop(answer, name, options) {
  const [input, counts] = [[...user], []];
  for (;;) {
    const response = await answer(name, { input, tools, store: false, ...options });
    assert.equal(response.status, "completed");
    input.push(...response.output.map(({ parsed_arguments, ...item }) => item));
    const calls = response.output.filter((item) => item.type === "function_call");
    if (!calls.length) return [counts, response.output_text];
    counts.push(calls.length);
    for (const call of calls) {
      const output = weather(JSON.parse(call.arguments).city);
      input.push({ type: "function_call_output", call_id: call.call_id, output });
    }
  }
}

await run({
  async whole() {
    const response = await create("fake-echo", { instructions: "Be kind." });
    assert.deepEqual([response.output_text, response.status, response.usage.output_tokens], [TEXT, "completed", WORDS]);
    const cut = await create("fake-length");
    assert.deepEqual([cut.status, cut.incomplete_details.reason], ["incomplete", "max_output_tokens"]);
  },

  async stream() {
    const stream = client.responses.stream(body("fake-echo"));
    const deltas = [];
    stream.on("response.output_text.delta", (event) => deltas.push(event.delta));
    const response = await stream.finalResponse();
    assert.equal(deltas.length, WORDS);
    assert.deepEqual([deltas.join(""), response.output_text, response.usage.output_tokens], [TEXT, TEXT, WORDS]);
  },

  async events() {
    const events = await collect(await create("fake-tool", { tools, stream: true }));
    assert.deepEqual([events[0].type, events.at(-1).type], ["response.created", "response.completed"]);
    assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, index) => index));
  },

  async reasoning() {
    for (const options of [{}, { reasoning: { summary: "auto" } }]) {
      const response = await finish("fake-reasoning", options);
      assert.equal(response.output_text, TEXT);
      if (!native) continue;
      const [item] = response.output;
      const texts = options.reasoning ? item.summary : item.content;
      assert.deepEqual([item.type, texts[0].text], ["reasoning", "Let me think about that."]);
      assert.ok(item.encrypted_content);
    }
  },

  async cache() {
    const { usage } = await finish("fake-cached");
    assert.deepEqual([usage.input_tokens, usage.input_tokens_details.cached_tokens], [125, 90]);
    assert.equal(usage.total_tokens, usage.input_tokens + usage.output_tokens);
  },

  async tools() {
    for (const answer of [create, finish]) assert.deepEqual(await loop(answer, "fake-loop-3"), [[1, 1, 1], REPORT]);
  },

  async tools_with_reasoning() {
    const options = { include: ["reasoning.encrypted_content"], reasoning: { summary: "auto" } };
    for (const answer of [create, finish]) {
      assert.deepEqual(await loop(answer, "fake-think-3", options), [[1, 1, 1], REPORT]);
    }
  },

  async parallel_tools() {
    for (const answer of [create, finish]) assert.deepEqual(await loop(answer, "fake-parallel-3"), [[3], REPORT]);
  },

  async stored_tools() {
    let response = await create("fake-loop-3", { tools });
    for (let turn = 0; turn < 3; turn++) {
      const call = response.output.at(-1);
      const output = { type: "function_call_output", call_id: call.call_id, output: weather(JSON.parse(call.arguments).city) };
      response = await create("fake-loop-3", { input: [output], tools, previous_response_id: response.id });
    }
    assert.equal(response.output_text, REPORT);
  },

  async image() {
    const content = [{ type: "input_text", text: "What is this?" }, picture];
    assert.equal((await create("fake-image", { input: [{ role: "user", content }] })).output_text, PNG_SEEN);
  },

  async structured() {
    const format = zodTextFormat(z.object({ city: z.string(), degrees: z.number() }), "weather");
    const response = await client.responses.parse(body("fake-json", { text: { format } }));
    assert.deepEqual(response.output_parsed, JSON_ANSWER);
  },

  async forced_tool() {
    const response = await create("fake-json", { tools, tool_choice: { type: "function", name: "get_weather" } });
    assert.deepEqual(JSON.parse(response.output[0].arguments), JSON_ANSWER);
  },

  async abort() {
    const endless = await create("fake-endless", { stream: true });
    let seen = 0;
    for await (const _ of endless) if (++seen === 6) break;
    assert.equal(seen, 6);
  },

  async retries() {
    for (const answer of [create, finish]) {
      assert.equal((await retried(() => answer(flaky(), {}, { maxRetries: 2 }))).output_text, TEXT);
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

  // `response.failed` is an answer to this SDK, not an exception: its status tells.
  async broken_streams() {
    for (const name of [...BROKEN, "fake-bareerror-5"]) {
      const complete = async () => assert.equal((await finish(name)).status, "completed");
      await assert.rejects(complete, isBreak, name);
    }
  },
});
