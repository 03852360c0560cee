// The Vercel AI SDK with its providers for Chat Completions, Messages and Responses, against an endpoint that serves the
// models of fake-provider.
//
// Usage: ai_sdk.mjs BASE_URL [MODEL_PREFIX]; see checks.mjs.

import assert from "node:assert/strict";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { BROKEN, JSON_ANSWER, PNG, PNG_SEEN, REPORT, TEXT, WORDS, baseURL, flaky, isBreak, model, retried, run, weather } from "./checks.mjs";

// Models that the SDK does not know are no fault.
globalThis.AI_SDK_LOG_WARNINGS = false;

const options = { baseURL, apiKey: "sk-client" };
const providers = {
  chat: createOpenAICompatible({ ...options, name: "gateway", includeUsage: true, supportsStructuredOutputs: true }),
  messages: createAnthropic(options),
  responses: createOpenAI(options),
};
const tools = {
  get_weather: tool({
    description: "The weather of a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => weather(city),
  }),
};

/** Streams an answer to its end; an error in the stream is thrown. */
async function stream(request) {
  let failure;
  const result = streamText({ ...request, onError: ({ error }) => (failure ??= error) });
  const deltas = [];
  for await (const part of result.fullStream) {
    if (part.type === "error") failure ??= part.error;
    if (part.type === "text-delta") deltas.push(part.text);
  }
  if (failure) throw failure;
  const [text, steps, usage, finishReason] = [await result.text, await result.steps, await result.usage, await result.finishReason];
  return { text, steps, usage, finishReason, deltas };
}

function checksOf(api, provider) {
  const ask = (name, more) => ({ model: provider(model(name)), prompt: TEXT, maxRetries: 0, ...more });
  const calls = ({ steps }) => steps.map((step) => step.toolCalls.length).filter(Boolean);

  return {
    async whole() {
      const answer = await generateText(ask("fake-echo"));
      assert.deepEqual([answer.text, answer.finishReason, answer.usage.outputTokens], [TEXT, "stop", WORDS]);
    },

    async stream() {
      const answer = await stream(ask("fake-echo"));
      assert.equal(answer.deltas.length, WORDS);
      assert.deepEqual([answer.text, answer.finishReason, answer.usage.outputTokens], [TEXT, "stop", WORDS]);
    },

    async tools() {
      for (const answer of [generateText, stream]) {
        for (const [name, expected] of [["fake-loop-3", [1, 1, 1]], ["fake-think-3", [1, 1, 1]], ["fake-parallel-3", [3]]]) {
          const result = await answer(ask(name, { tools, stopWhen: stepCountIs(6) }));
          assert.deepEqual([calls(result), result.text], [expected, REPORT], name);
        }
      }
    },

    async image() {
      const content = [{ type: "text", text: "What is this?" }, { type: "image", image: PNG, mediaType: "image/png" }];
      const answer = await generateText({ ...ask("fake-image"), prompt: undefined, messages: [{ role: "user", content }] });
      assert.equal(answer.text, PNG_SEEN);
    },

    async structured() {
      const output = Output.object({ schema: z.object({ city: z.string(), degrees: z.number() }) });
      assert.deepEqual((await generateText(ask("fake-json", { output }))).output, JSON_ANSWER);
    },

    async abort() {
      const stop = new AbortController();
      let seen = 0;
      const result = streamText(ask("fake-endless", { abortSignal: stop.signal, onError() {} }));
      for await (const part of result.fullStream) if (part.type === "text-delta" && ++seen === 5) stop.abort();
      assert.ok(seen >= 5);
    },

    async retries() {
      for (const answer of [generateText, stream]) {
        assert.equal((await retried(() => answer(ask(flaky(), { maxRetries: 2 })))).text, TEXT);
      }
    },

    async errors() {
      for (const status of [400, 404, 429, 503]) {
        for (const answer of [generateText, stream]) {
          await assert.rejects(answer(ask(`fake-${status}`)), (error) => error.statusCode === status && Boolean(error.message), `${status}`);
        }
      }
    },

    async broken_streams() {
      for (const name of BROKEN) await assert.rejects(stream(ask(name)), isBreak, `${api} ${name}`);
    },
  };
}

for (const [api, provider] of Object.entries(providers)) {
  const checks = Object.entries(checksOf(api, provider)).map(([name, check]) => [`${api} ${name}`, check]);
  await run(Object.fromEntries(checks));
}
