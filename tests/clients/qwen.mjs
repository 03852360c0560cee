// The official Node SDK against qwen-proxy, with fake-qwen behind it.
//
// Usage: qwen.mjs BASE_URL [MODEL_PREFIX]. Prints one line for each check; the exit status is 1 if one failed.

import assert from "node:assert/strict";
import OpenAI from "openai";
import { SCHEMA, TURNS, Work, plan, repeats, run } from "./qwen_tools.mjs";

const [baseURL, prefix = ""] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "sk-client", maxRetries: 0, timeout: 20_000 });
const tools = Work.names.map((name) => ({ type: "function", function: { name, description: `Does ${name}`, parameters: SCHEMA } }));

const whole = async (options) => {
  const { choices, usage } = await client.chat.completions.create({ model: `${prefix}qwen3-max`, ...options });
  assert.ok(usage.completion_tokens > 0 && usage.prompt_tokens > 0, JSON.stringify(usage));
  return choices[0];
};
const streamed = async (options) => (await client.chat.completions.stream({ model: `${prefix}qwen3-max`, ...options }).finalChatCompletion()).choices[0];

async function loop(ask) {
  const work = new Work();
  const messages = [{ role: "system", content: "You are a coding agent." }, { role: "user", content: plan() }];
  for (let told = []; ; told = work.next()) {
    const { message, finish_reason } = await ask({ messages, tools });
    repeats(message.content, told);
    messages.push(message);
    if (work.turn === TURNS) {
      assert.equal(finish_reason, "stop");
      assert.ok(message.content.endsWith("all done"), message.content);
      return;
    }
    assert.equal(finish_reason, "tool_calls");
    for (const call of message.tool_calls) {
      const content = work.execute(call.function.name, JSON.parse(call.function.arguments));
      messages.push({ role: "tool", tool_call_id: call.id, content });
    }
  }
}

async function recall(asks) {
  const messages = [];
  const said = async (ask, content) => {
    messages.push({ role: "user", content });
    messages.push((await ask({ messages })).message);
    return messages.at(-1).content;
  };
  for (const [turn, ask] of asks.entries()) assert.equal(await said(ask, `remember fact${turn}=${turn * 7}`), `noted fact${turn}`);
  for (const [turn, ask] of asks.entries()) assert.equal(await said(ask, `recall fact${turn}`), `${turn * 7}`);
}

await run({
  tool_loop: () => loop(whole),
  tool_loop_stream: () => loop(streamed),
  tool_loop_mixed: () => {
    let turn = 0;
    return loop((options) => (turn++ % 2 ? whole : streamed)(options));
  },
  recall: () => recall([streamed, whole, streamed, whole, whole]),

  async thoughts() {
    const answer = await whole({ messages: [{ role: "user", content: "think let me see\nsay yes" }] });
    assert.deepEqual([answer.message.reasoning_content, answer.message.content], ["let me see", "yes"]);
  },

  async letter_by_letter() {
    const messages = [{ role: "user", content: `pieces 1\nsay if a < b and <i>c</i>:\ncall read {"text":"x"}` }];
    const { message } = await streamed({ messages, tools });
    assert.equal(message.content.trim(), "if a < b and <i>c</i>:");
    assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { text: "x" });
  },

  async abort() {
    const stream = await client.chat.completions.create({ model: `${prefix}fake-stall-3`, messages: [{ role: "user", content: "a b c d e f" }], stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
  },

  async broken_streams() {
    for (const model of ["fake-reset-3", "fake-close-3", "fake-error-3"]) {
      const options = { model: prefix + model, messages: [{ role: "user", content: "a b c d e f" }], stream: true };
      await assert.rejects(async () => {
        for await (const _ of await client.chat.completions.create(options));
      }, undefined, model);
    }
  },

  async models() {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    assert.ok(ids.some((id) => id.endsWith("qwen3-max")), ids.join());
  },

  // Must be last: too many requests put the login into its back-off period.
  async errors() {
    const expected = { "fake-503": OpenAI.InternalServerError, "fake-429": OpenAI.RateLimitError };
    for (const [model, kind] of Object.entries(expected)) {
      const asked = client.chat.completions.create({ model: prefix + model, messages: [{ role: "user", content: "hello" }] });
      await assert.rejects(asked, (error) => error instanceof kind && Boolean(error.error.message), model);
    }
  },
});
