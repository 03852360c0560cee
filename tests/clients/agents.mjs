// OpenAI's agents with Responses and with Chat Completions, against an endpoint that serves the models of fake-provider.
//
// Usage: agents.mjs BASE_URL [MODEL_PREFIX]; see checks.mjs.

import assert from "node:assert/strict";
import { Agent, OpenAIProvider, Runner, setTracingDisabled, tool } from "@openai/agents";
import OpenAI from "openai";
import { z } from "zod";
import { BROKEN, JSON_ANSWER, PNG, PNG_SEEN, REPORT, TEXT, WORDS, baseURL, flaky, isBreak, model, retried, run, weather } from "./checks.mjs";

setTracingDisabled(true);

const get_weather = tool({
  name: "get_weather",
  description: "The weather of a city.",
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => weather(city),
});

function checksOf(useResponses) {
  const runner = (maxRetries) => {
    const openAIClient = new OpenAI({ baseURL, apiKey: "sk-client", maxRetries, timeout: 60_000 });
    return new Runner({ modelProvider: new OpenAIProvider({ openAIClient, useResponses }) });
  };
  const agent = (name, more) => new Agent({ name: "Tester", instructions: "Be kind.", model: model(name), ...more });
  const ask = (name, { input = TEXT, maxRetries = 0, ...more } = {}) => runner(maxRetries).run(agent(name, more), input);
  const stream = async (name, { maxRetries = 0, ...more } = {}) => {
    const result = await runner(maxRetries).run(agent(name, more), TEXT, { stream: true });
    const deltas = [];
    for await (const event of result) {
      if (event.type === "raw_model_stream_event" && event.data.type === "output_text_delta") deltas.push(event.data.delta);
    }
    await result.completed;
    if (result.error) throw result.error;
    return { finalOutput: result.finalOutput, rawResponses: result.rawResponses, deltas };
  };
  const calls = ({ rawResponses }) =>
    rawResponses.map(({ output }) => output.filter((item) => item.type === "function_call").length).filter(Boolean);

  return {
    async whole() {
      const result = await ask("fake-echo");
      assert.deepEqual([result.finalOutput, result.rawResponses[0].usage.outputTokens], [TEXT, WORDS]);
    },

    async stream() {
      const result = await stream("fake-echo");
      assert.deepEqual([result.finalOutput, result.deltas.length], [TEXT, WORDS]);
    },

    async tools() {
      for (const answer of [ask, stream]) {
        for (const [name, expected] of [["fake-loop-3", [1, 1, 1]], ["fake-think-3", [1, 1, 1]], ["fake-parallel-3", [3]]]) {
          const result = await answer(name, { tools: [get_weather] });
          assert.deepEqual([calls(result), result.finalOutput], [expected, REPORT], name);
        }
      }
    },

    async image() {
      const content = [{ type: "input_text", text: "What is this?" }, { type: "input_image", image: `data:image/png;base64,${PNG}` }];
      assert.equal((await ask("fake-image", { input: [{ role: "user", content }] })).finalOutput, PNG_SEEN);
    },

    async structured() {
      const outputType = z.object({ city: z.string(), degrees: z.number() });
      assert.deepEqual((await ask("fake-json", { outputType })).finalOutput, JSON_ANSWER);
    },

    async abort() {
      const stop = new AbortController();
      const result = await runner(0).run(agent("fake-endless"), TEXT, { stream: true, signal: stop.signal });
      let seen = 0;
      try {
        for await (const event of result) if (event.data?.type === "output_text_delta" && ++seen === 5) stop.abort();
      } catch (error) {
        assert.equal(stop.signal.aborted, true, error);
      }
      assert.ok(seen >= 5);
    },

    async retries() {
      for (const answer of [ask, stream]) {
        assert.equal((await retried(() => answer(flaky(), { maxRetries: 2 }))).finalOutput, TEXT);
      }
    },

    async errors() {
      for (const status of [400, 404, 429, 503]) {
        for (const answer of [ask, stream]) {
          await assert.rejects(answer(`fake-${status}`), (error) => error.status === status, `${status}`);
        }
      }
    },

    async broken_streams() {
      for (const name of BROKEN) await assert.rejects(stream(name), isBreak, name);
    },
  };
}

for (const [api, useResponses] of [["chat", false], ["responses", true]]) {
  const checks = Object.entries(checksOf(useResponses)).map(([name, check]) => [`${api} ${name}`, check]);
  await run(Object.fromEntries(checks));
}
