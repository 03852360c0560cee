// The official Node SDK against an endpoint that serves the models of fake-provider.
//
// Usage: chat.mjs BASE_URL [MODEL_PREFIX]. Prints one line for each check; the exit status is 1 if one failed.

import assert from "node:assert/strict";
import OpenAI from "openai";

const TEXT = "The quick brown fox jumps over the lazy dog.";
const TOOLS = [
  { type: "function", function: { name: "get_weather", parameters: { type: "object", properties: { city: { type: "string" } } } } },
];
const messages = [{ role: "user", content: TEXT }];

const [baseURL, prefix = ""] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "sk-client", maxRetries: 0, timeout: 60_000 });
const chat = (name, options) => client.chat.completions.create({ model: prefix + name, messages, ...options });

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const checks = {
  async whole() {
    const answer = await chat("fake-echo");
    assert.equal(answer.choices[0].message.content, TEXT);
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.equal(answer.usage.completion_tokens, 9);
  },

  async stream() {
    const chunks = await collect(await chat("fake-echo", { stream: true, stream_options: { include_usage: true } }));
    const words = chunks.map((chunk) => chunk.choices[0]?.delta.content).filter(Boolean);
    assert.equal(words.length, 9);
    assert.equal(words.join(""), TEXT);
    assert.equal(chunks.at(-1).usage.completion_tokens, 9);
  },

  async tools() {
    const answer = await chat("fake-tool", { tools: TOOLS });
    const { name, arguments: json } = answer.choices[0].message.tool_calls[0].function;
    assert.deepEqual([name, JSON.parse(json)], ["get_weather", { city: "Oslo" }]);
  },

  async tools_stream() {
    const chunks = await collect(await chat("fake-tool", { tools: TOOLS, stream: true }));
    const calls = chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
    assert.equal(calls.map((call) => call.function.name ?? "").join(""), "get_weather");
    assert.equal(calls.map((call) => call.function.arguments ?? "").join(""), '{"city":"Oslo"}');
  },

  async two_choices() {
    const answer = await chat("fake-echo", { n: 2 });
    assert.deepEqual(answer.choices.map((choice) => choice.message.content), [TEXT, TEXT]);
    const texts = ["", ""];
    for (const chunk of await collect(await chat("fake-echo", { n: 2, stream: true }))) {
      for (const choice of chunk.choices) texts[choice.index] += choice.delta.content ?? "";
    }
    assert.deepEqual(texts, [TEXT, TEXT]);
  },

  async abort() {
    const endless = await chat("fake-endless", { stream: true });
    let seen = 0;
    for await (const _ of endless) if (++seen === 3) break;
    assert.equal(seen, 3);
  },

  async large_prompt_with_image() {
    const url = "data:image/png;base64," + "iVBORw0KGgo".repeat(250_000);
    const text = "word ".repeat(500_000);
    const content = [{ type: "text", text }, { type: "image_url", image_url: { url } }];
    const answer = await chat("fake-echo", { messages: [{ role: "user", content }] });
    assert.ok(answer.choices[0].message.content === text);
  },

  async errors() {
    const expected = {
      "fake-400": OpenAI.BadRequestError,
      "fake-404": OpenAI.NotFoundError,
      "fake-429": OpenAI.RateLimitError,
      "fake-503": OpenAI.InternalServerError,
    };
    for (const [name, kind] of Object.entries(expected)) {
      await assert.rejects(chat(name), (error) => error instanceof kind && Boolean(error.error.message), name);
    }
  },

  async broken_streams() {
    for (const name of ["fake-reset-3", "fake-close-3", "fake-error-3"]) {
      await assert.rejects(async () => collect(await chat(name, { stream: true })), undefined, name);
    }
  },

  async models() {
    const models = await collect(await client.models.list());
    assert.notEqual(models.length, 0);
  },
};

for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log("ok", name);
  } catch (error) {
    process.exitCode = 1;
    console.log("FAILED", name);
    console.error(error);
  }
}
