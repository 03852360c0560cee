import{d as e,p as t,w as n,y as r}from"./libraries-CMrem9x2.js";import{C as i,L as a,M as o,St as s,a as c,bt as l,c as u,l as d,n as f,p,s as m,t as h,u as g,v as _}from"./layout-Hgk9jP3-.js";import{b as v,t as y,v as b}from"./index-DXmssFlX.js";import{a as x,i as S,r as C,t as w}from"./curl-DBqOWz_d.js";import{n as T}from"./handed-key-OSKt8HFm.js";var E={"Chat Completions":`chat`,Messages:`messages`,Responses:`responses`,any:null};function D({surface:e},t){let n=E[e];return n===null||t===void 0||t.includes(n)}var O=e=>JSON.stringify(e),k=`Shell`,A=[{id:`curl`,name:`curl`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:k,text:C(e,t,n)}]},{id:`python`,name:`Python, OpenAI SDK`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:`Python`,text:`from openai import OpenAI

client = OpenAI(base_url=${O(`${e}/v1`)}, api_key=${O(n)})
answer = client.chat.completions.create(
    model=${O(t)},
    messages=[{"role": "user", "content": ${O(w)}}],
)
print(answer.choices[0].message.content)`}]},{id:`javascript`,name:`JavaScript, OpenAI SDK`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:`JavaScript`,text:`import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${O(`${e}/v1`)}, apiKey: ${O(n)} });
const stream = await client.chat.completions.create({
  model: ${O(t)},
  stream: true,
  messages: [{ role: "user", content: ${O(w)} }],
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");`}]},{id:`claude-code`,name:`Claude Code`,surface:`Messages`,snippets:(e,t,n)=>[{where:k,text:`export ANTHROPIC_BASE_URL=${e}      # without /v1
export ANTHROPIC_API_KEY=${S(n)}
export ANTHROPIC_MODEL=${S(t)}
export ANTHROPIC_DEFAULT_HAIKU_MODEL=${S(t)}
claude`}],note:`Its session id becomes the session in the log.`},{id:`codex`,name:`Codex`,surface:`Responses`,snippets:(e,t,n)=>[{where:`~/.codex/config.toml`,text:`model = ${O(t)}
model_provider = "signalbox"

[model_providers.signalbox]
name = "Signalbox"
base_url = ${O(`${e}/v1`)}
env_key = "SIGNALBOX_API_KEY"
wire_api = "responses"`},{where:k,text:`export SIGNALBOX_API_KEY=${S(n)}\ncodex`}]},{id:`opencode`,name:`OpenCode`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:`opencode.json`,text:JSON.stringify({provider:{signalbox:{npm:`@ai-sdk/openai-compatible`,options:{baseURL:`${e}/v1`,apiKey:n},models:{[t]:{}}}},small_model:`signalbox/${t}`},null,2)},{where:k,text:`opencode run -m ${S(`signalbox/${t}`)} ${S(`Fix the tests.`)}`}],note:`OpenCode does not ask for the list of models: each one has to be named under models.`},{id:`cline`,name:`Cline`,surface:`Responses`,snippets:(e,t,n)=>[{where:k,text:`cline auth -p openai-native -k ${S(n)} -m ${S(t)} -b ${e}/v1`}],note:`In the editor, choose OpenAI Compatible and enter the base URL, key and model.`},{id:`continue`,name:`Continue`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:`config.yaml`,text:`name: signalbox
version: 1.0.0
schema: v1
models:
  - name: ${O(t)}
    provider: openai
    model: ${O(t)}
    apiBase: ${e}/v1
    apiKey: ${O(n)}
    roles: [chat, edit, apply]
    capabilities: [tool_use]`}]},{id:`aider`,name:`aider`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:k,text:`export OPENAI_API_BASE=${e}/v1
export OPENAI_API_KEY=${S(n)}
aider --no-show-model-warnings --model ${S(`openai/${t}`)}`}]},{id:`qwen-code`,name:`Qwen Code`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:k,text:`export OPENAI_BASE_URL=${e}/v1
export OPENAI_API_KEY=${S(n)}
export OPENAI_MODEL=${S(t)}
qwen --auth-type openai`}]},{id:`roo-code`,name:`Roo Code`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:`API Provider`,text:`OpenAI Compatible`},{where:`Base URL`,text:`${e}/v1`},{where:`API Key`,text:n},{where:`Model`,text:t}],note:`In the settings of the extension, under Providers. The model has to call tools.`},{id:`cursor`,name:`Cursor`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:`OpenAI API Key`,text:n},{where:`Override OpenAI Base URL`,text:`${e}/v1`},{where:`Add model`,text:t}],note:`In its settings, under Models and API Keys. The requests come from Cursor's servers: the address has to be a public one with HTTPS, such as that of a reverse proxy, and client keys have to be configured. Completions while you type come from Cursor's own models.`},{id:`open-webui`,name:`Open WebUI`,surface:`Chat Completions`,snippets:(e,t,n)=>[{where:k,text:`export OPENAI_API_BASE_URL=${e}/v1
export OPENAI_API_KEY=${S(n)}
export DEFAULT_MODELS=${S(t)}
open-webui serve`}],note:`It lists all models by itself. The variables count at its first start; later, its admin settings have them under Connections. In a container, localhost is the container: use an address of this machine there, for which client keys have to be configured.`},{id:`anthropic-python`,name:`Python, Anthropic SDK`,surface:`Messages`,snippets:(e,t,n)=>[{where:`Python`,text:`from anthropic import Anthropic

client = Anthropic(base_url=${O(e)}, api_key=${O(n)})
answer = client.messages.create(
    model=${O(t)}, max_tokens=100, messages=[{"role": "user", "content": ${O(w)}}]
)
print(answer.content[0].text)`}]},{id:`other`,name:`Another client`,surface:`any`,snippets:(e,t,n)=>[{where:`Base URL of OpenAI's clients`,text:`${e}/v1`},{where:`Base URL of Anthropic's clients`,text:e},{where:`API key`,text:n},{where:`Model`,text:t}]}],j=n(),M=e(`/connect`);function N(){let e=M.useSearch(),n=t({from:`/connect`}),{data:S}=r(a),C=r(o).data?.surfaces,[w,E]=T(),O=x(),k=l(e=>e[`provider-router`]),N=A.find(({id:t})=>t===e.client)??A[0],P=e.model??S?.[0]?.id??`echo`,F=[...new Set([P,...(S??[]).map(({id:e})=>e)])];if(k.status===null)return(0,j.jsx)(d,{title:`Connect a client`,children:(0,j.jsx)(m,{rows:6})});let I=[`localhost`,`127.0.0.1`,`[::1]`,`::1`].includes(location.hostname);return(0,j.jsxs)(d,{title:`Connect a client`,about:`Clients reach the models at ${O}. Choose yours, and copy the lines.`,children:[k.status!==null&&s(k)!==`running`&&(0,j.jsx)(u,{tone:`warn`,action:(0,j.jsx)(i,{small:!0,onClick:()=>void y(`start`,`provider-router`),children:`Start it`}),children:`The router does not run, so that clients get no answers.`}),(0,j.jsx)(h,{children:(0,j.jsxs)(c,{children:[(0,j.jsx)(b,{label:`Client`,value:N.id,onChange:e=>void n({search:t=>({...t,client:e}),replace:!0}),options:A.map(e=>[e.id,D(e,C)?e.name:`${e.name} (${e.surface} is not served)`])}),(0,j.jsx)(b,{label:`Model`,value:P,onChange:e=>void n({search:t=>({...t,model:e}),replace:!0}),options:F}),(0,j.jsx)(v,{label:`Client key`,value:w,onChange:E,placeholder:`any`,mono:!0,hint:I?`Any text, unless client keys are configured.`:`From other machines, clients need one of the configured client keys.`})]})}),(0,j.jsx)(h,{title:N.name,actions:(0,j.jsx)(_,{children:N.surface}),children:D(N,C)?(0,j.jsxs)(g,{children:[N.snippets(O,P,w.trim()||`any`).map(({where:e,text:t})=>(0,j.jsxs)(`div`,{children:[(0,j.jsx)(`h3`,{children:e}),(0,j.jsx)(p,{text:t,label:e,wrap:N.id===`curl`})]},e)),N.note&&(0,j.jsx)(`p`,{className:`muted`,children:N.note})]}):(0,j.jsxs)(f,{title:`This server does not serve ${N.surface}`,children:[N.name,` speaks no other API. Update Signalbox, or choose another client.`]})})]})}export{N as default};