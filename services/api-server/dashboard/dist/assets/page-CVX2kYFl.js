import{r as e}from"./rolldown-runtime-XKyaHtl9.js";import{T as t,d as n,p as r,w as i,y as a}from"./libraries-CMrem9x2.js";import{C as o,I as s,a as c,c as l,l as u,p as d,s as f,t as p,u as m,v as h,xt as g,yt as _}from"./layout-BNRCQ3nC.js";import{_ as v,t as y,y as b}from"./index-DNY6lcla.js";import{i as x,n as S,r as C,t as w}from"./curl-B_vxKan3.js";var T=e(t(),1),E=e=>JSON.stringify(e),D=`Shell`,O=[{id:`curl`,name:`curl`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:D,text:S(e,t,n)}]},{id:`python`,name:`Python, OpenAI SDK`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:`Python`,text:`from openai import OpenAI

client = OpenAI(base_url=${E(`${e}/v1`)}, api_key=${E(n)})
answer = client.chat.completions.create(
    model=${E(t)},
    messages=[{"role": "user", "content": ${E(w)}}],
)
print(answer.choices[0].message.content)`}]},{id:`javascript`,name:`JavaScript, OpenAI SDK`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:`JavaScript`,text:`import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${E(`${e}/v1`)}, apiKey: ${E(n)} });
const stream = await client.chat.completions.create({
  model: ${E(t)},
  stream: true,
  messages: [{ role: "user", content: ${E(w)} }],
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");`}]},{id:`claude-code`,name:`Claude Code`,surface:`Messages`,snippets:(e,t,n)=>[{where:D,text:`export ANTHROPIC_BASE_URL=${e}      # without /v1
export ANTHROPIC_API_KEY=${C(n)}
export ANTHROPIC_MODEL=${C(t)}
export ANTHROPIC_DEFAULT_HAIKU_MODEL=${C(t)}
claude`}],note:`Its session id becomes the session in the log.`},{id:`codex`,name:`Codex`,surface:`Responses`,snippets:(e,t,n)=>[{where:`~/.codex/config.toml`,text:`model = ${E(t)}
model_provider = "signalbox"

[model_providers.signalbox]
name = "Signalbox"
base_url = ${E(`${e}/v1`)}
env_key = "SIGNALBOX_API_KEY"
wire_api = "responses"`},{where:D,text:`export SIGNALBOX_API_KEY=${C(n)}\ncodex`}]},{id:`opencode`,name:`OpenCode`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:`opencode.json`,text:JSON.stringify({provider:{signalbox:{npm:`@ai-sdk/openai-compatible`,options:{baseURL:`${e}/v1`,apiKey:n},models:{[t]:{}}}},small_model:`signalbox/${t}`},null,2)},{where:D,text:`opencode run -m ${C(`signalbox/${t}`)} ${C(`Fix the tests.`)}`}],note:`OpenCode does not ask for the list of models: each one has to be named under models.`},{id:`cline`,name:`Cline`,surface:`Responses`,snippets:(e,t,n)=>[{where:D,text:`cline auth -p openai-native -k ${C(n)} -m ${C(t)} -b ${e}/v1`}],note:`In the editor, choose OpenAI Compatible and enter the base URL, key and model.`},{id:`continue`,name:`Continue`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:`config.yaml`,text:`name: signalbox
version: 1.0.0
schema: v1
models:
  - name: ${E(t)}
    provider: openai
    model: ${E(t)}
    apiBase: ${e}/v1
    apiKey: ${E(n)}
    roles: [chat, edit, apply]
    capabilities: [tool_use]`}]},{id:`aider`,name:`aider`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:D,text:`export OPENAI_API_BASE=${e}/v1
export OPENAI_API_KEY=${C(n)}
aider --no-show-model-warnings --model ${C(`openai/${t}`)}`}]},{id:`qwen-code`,name:`Qwen Code`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:D,text:`export OPENAI_BASE_URL=${e}/v1
export OPENAI_API_KEY=${C(n)}
export OPENAI_MODEL=${C(t)}
qwen --auth-type openai`}]},{id:`anthropic-python`,name:`Python, Anthropic SDK`,surface:`Messages`,snippets:(e,t,n)=>[{where:`Python`,text:`from anthropic import Anthropic

client = Anthropic(base_url=${E(e)}, api_key=${E(n)})
answer = client.messages.create(
    model=${E(t)}, max_tokens=100, messages=[{"role": "user", "content": ${E(w)}}]
)
print(answer.content[0].text)`}]},{id:`other`,name:`Another client`,surface:`any`,snippets:(e,t,n)=>[{where:`Base URL of OpenAI's clients`,text:`${e}/v1`},{where:`Base URL of Anthropic's clients`,text:e},{where:`API key`,text:n},{where:`Model`,text:t}]}],k=i(),A=n(`/connect`);function j(){let e=A.useSearch(),t=r({from:`/connect`}),{data:n}=a(s),[i,S]=(0,T.useState)(``),C=x(),w=_(e=>e[`provider-router`]),E=O.find(({id:t})=>t===e.client)??O[0],D=e.model??n?.[0]?.id??`echo`,j=[...new Set([D,...(n??[]).map(({id:e})=>e)])];if(w.status===null)return(0,k.jsx)(u,{title:`Connect a client`,children:(0,k.jsx)(f,{rows:6})});let M=[`localhost`,`127.0.0.1`,`[::1]`,`::1`].includes(location.hostname);return(0,k.jsxs)(u,{title:`Connect a client`,about:`Clients reach the models at ${C}. Choose yours, and copy the lines.`,children:[w.status!==null&&g(w)!==`running`&&(0,k.jsx)(l,{tone:`warn`,action:(0,k.jsx)(o,{small:!0,onClick:()=>void y(`start`,`provider-router`),children:`Start it`}),children:`The router does not run, so that clients get no answers.`}),(0,k.jsx)(p,{children:(0,k.jsxs)(c,{children:[(0,k.jsx)(v,{label:`Client`,value:E.id,onChange:e=>void t({search:t=>({...t,client:e}),replace:!0}),options:O.map(({id:e,name:t})=>[e,t])}),(0,k.jsx)(v,{label:`Model`,value:D,onChange:e=>void t({search:t=>({...t,model:e}),replace:!0}),options:j}),(0,k.jsx)(b,{label:`Client key`,value:i,onChange:S,placeholder:`any`,mono:!0,hint:M?`Any text, unless client keys are configured.`:`From other machines, clients need one of the configured client keys.`})]})}),(0,k.jsx)(p,{title:E.name,actions:(0,k.jsx)(h,{children:E.surface}),children:(0,k.jsxs)(m,{children:[E.snippets(C,D,i.trim()||`any`).map(({where:e,text:t})=>(0,k.jsxs)(`div`,{children:[(0,k.jsx)(`h3`,{children:e}),(0,k.jsx)(d,{text:t,label:e,wrap:E.id===`curl`})]},e)),E.note&&(0,k.jsx)(`p`,{className:`muted`,children:E.note})]})})]})}export{j as default};