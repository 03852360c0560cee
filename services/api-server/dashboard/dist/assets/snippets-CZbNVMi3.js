import{v as e}from"./libraries-DsfsAojA.js";import{T as t,y as n}from"./queries-B2ljHJKa.js";function r(e,t){let n=e.hostname.includes(`:`)&&!e.hostname.startsWith(`[`)?`[${e.hostname}]`:e.hostname;return`${e.protocol}//${n}:${t}`}function i(){e(n);let i=t(e=>e[`provider-router`].status?.port);return r(location,i||3001)}var a=`Is anybody there?`;function o(e,t,n=`any`){let r=JSON.stringify({model:t,stream:!0,messages:[{role:`user`,content:a}]});return`curl -N ${e}/v1/chat/completions${n===`any`?``:` -H ${s(`Authorization: Bearer ${n}`)}`} -d ${s(r)}`}function s(e){return/^[A-Za-z0-9_./:@%+=,-]+$/.test(e)?e:`'${e.replaceAll(`'`,`'\\''`)}'`}var c=e=>JSON.stringify(e),l=`Shell`,u=[{id:`curl`,name:`curl`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:l,text:o(e,t,n)}]},{id:`python`,name:`Python, OpenAI SDK`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:`Python`,text:`from openai import OpenAI

client = OpenAI(base_url=${c(`${e}/v1`)}, api_key=${c(n)})
answer = client.chat.completions.create(
    model=${c(t)},
    messages=[{"role": "user", "content": ${c(a)}}],
)
print(answer.choices[0].message.content)`}]},{id:`javascript`,name:`JavaScript, OpenAI SDK`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:`JavaScript`,text:`import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${c(`${e}/v1`)}, apiKey: ${c(n)} });
const stream = await client.chat.completions.create({
  model: ${c(t)},
  stream: true,
  messages: [{ role: "user", content: ${c(a)} }],
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");`}]},{id:`claude-code`,name:`Claude Code`,surface:`Messages`,snippets:(e,t,n)=>[{where:l,text:`export ANTHROPIC_BASE_URL=${e}      # without /v1
export ANTHROPIC_API_KEY=${s(n)}
export ANTHROPIC_MODEL=${s(t)}
export ANTHROPIC_DEFAULT_HAIKU_MODEL=${s(t)}
claude`}],note:`Its session id becomes the session in the log.`},{id:`codex`,name:`Codex`,surface:`Responses`,snippets:(e,t,n)=>[{where:`~/.codex/config.toml`,text:`model = ${c(t)}
model_provider = "signalbox"

[model_providers.signalbox]
name = "Signalbox"
base_url = ${c(`${e}/v1`)}
env_key = "SIGNALBOX_API_KEY"
wire_api = "responses"`},{where:l,text:`export SIGNALBOX_API_KEY=${s(n)}\ncodex`}]},{id:`opencode`,name:`OpenCode`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:`opencode.json`,text:JSON.stringify({provider:{signalbox:{npm:`@ai-sdk/openai-compatible`,options:{baseURL:`${e}/v1`,apiKey:n},models:{[t]:{}}}},small_model:`signalbox/${t}`},null,2)},{where:l,text:`opencode run -m ${s(`signalbox/${t}`)} ${s(`Fix the tests.`)}`}],note:`OpenCode does not ask for the list of models: each one has to be named under models.`},{id:`cline`,name:`Cline`,surface:`Responses`,snippets:(e,t,n)=>[{where:l,text:`cline auth -p openai-native -k ${s(n)} -m ${s(t)} -b ${e}/v1`}],note:`In the editor, choose OpenAI Compatible and enter the base URL, key and model.`},{id:`continue`,name:`Continue`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:`config.yaml`,text:`name: signalbox
version: 1.0.0
schema: v1
models:
  - name: ${c(t)}
    provider: openai
    model: ${c(t)}
    apiBase: ${e}/v1
    apiKey: ${c(n)}
    roles: [chat, edit, apply]
    capabilities: [tool_use]`}]},{id:`aider`,name:`aider`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:l,text:`export OPENAI_API_BASE=${e}/v1
export OPENAI_API_KEY=${s(n)}
aider --no-show-model-warnings --model ${s(`openai/${t}`)}`}]},{id:`qwen-code`,name:`Qwen Code`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:l,text:`export OPENAI_BASE_URL=${e}/v1
export OPENAI_API_KEY=${s(n)}
export OPENAI_MODEL=${s(t)}
qwen --auth-type openai`}]},{id:`anthropic-python`,name:`Python, Anthropic SDK`,surface:`Messages`,snippets:(e,t,n)=>[{where:`Python`,text:`from anthropic import Anthropic

client = Anthropic(base_url=${c(e)}, api_key=${c(n)})
answer = client.messages.create(
    model=${c(t)}, max_tokens=100, messages=[{"role": "user", "content": ${c(a)}}]
)
print(answer.content[0].text)`}]},{id:`other`,name:`Another client`,surface:`any`,snippets:(e,t,n)=>[{where:`Base URL of OpenAI's clients`,text:`${e}/v1`},{where:`Base URL of Anthropic's clients`,text:e},{where:`API key`,text:n},{where:`Model`,text:t}]}];export{i,o as n,s as r,u as t};