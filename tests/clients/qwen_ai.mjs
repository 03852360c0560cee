// The Vercel AI SDK against qwen-proxy, with fake-qwen behind it: the SDK's own loop calls the tools.
//
// Usage: qwen_ai.mjs BASE_URL [MODEL_PREFIX]. Prints one line for each check; the exit status is 1 if one failed.

import assert from "node:assert/strict";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { SCHEMA, TURNS, Work, plan, repeats, run } from "./qwen_tools.mjs";

const [baseURL, prefix = ""] = process.argv.slice(2);
const qwen = createOpenAICompatible({ name: "qwen", baseURL, apiKey: "sk-client", includeUsage: true });
const model = qwen(`${prefix}qwen3-max`);

async function loop(generate) {
  const work = new Work();
  const told = [];
  const tools = Object.fromEntries(
    Work.names.map((name) => {
      const execute = (given) => work.execute(name, given);
      return [name, tool({ description: `Does ${name}`, inputSchema: jsonSchema(SCHEMA), execute })];
    }),
  );
  const steps = await generate({
    model,
    tools,
    maxRetries: 0,
    system: "You are a coding agent.",
    prompt: plan(),
    stopWhen: stepCountIs(TURNS + 5),
    onStepFinish: () => void (work.turn < TURNS && told.push(work.next())),
  });
  assert.equal(steps.length, TURNS + 1);
  steps.slice(1).forEach((step, turn) => repeats(step.text, told[turn]));
  const last = steps.at(-1);
  assert.equal(last.finishReason, "stop");
  assert.ok(last.text.endsWith("all done") && last.usage.outputTokens > 0, JSON.stringify(last.usage));
}

/** Reads a stream to its end; the SDK puts what goes wrong between its parts. */
async function read(result) {
  for await (const part of result.fullStream) if (part.type === "error") throw part.error;
  return result.steps;
}

await run({
  tool_loop: () => loop(async (options) => (await generateText(options)).steps),
  tool_loop_stream: () => loop((options) => read(streamText(options))),

  async thoughts() {
    const { reasoningText, text } = await generateText({ model, prompt: "think let me see\nsay yes" });
    assert.deepEqual([reasoningText, text], ["let me see", "yes"]);
  },

  async errors() {
    for (const name of ["fake-captcha", "fake-refused", "fake-empty", "fake-429"]) {
      const options = { model: qwen(prefix + name), prompt: "hello", maxRetries: 0, onError: () => {} };
      await assert.rejects(generateText(options), undefined, name);
      await assert.rejects(read(streamText(options)), undefined, name);
    }
  },
});
