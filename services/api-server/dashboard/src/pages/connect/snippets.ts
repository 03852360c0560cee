/**
 * Configurations of clients, filled in. They are those of docs/clients, which are tried with the real clients, and for
 * applications with a window those of their documentation.
 */

import { curl, KEY_PLACEHOLDER, QUESTION, shell } from "./curl";

export { curl, KEY_PLACEHOLDER, shell };

/** APIs of clients, by the names that the server has for them; `null` for any. */
export const SURFACES = {
  "Chat Completions": "chat",
  Messages: "messages",
  Responses: "responses",
  any: null,
} as const;

/** Returns whether a server with these APIs serves a client. While they are not known, it does. */
export function isServed({ surface }: Pick<Client, "surface">, surfaces: readonly string[] | undefined): boolean {
  const needed = SURFACES[surface];
  return needed === null || surfaces === undefined || surfaces.includes(needed);
}

export interface Snippet {
  /** File or place that the text belongs to. */
  where: string;
  text: string;
}

export interface Client {
  id: string;
  name: string;
  /** API that it speaks. */
  surface: keyof typeof SURFACES;
  snippets: (base: string, model: string, key: string) => Snippet[];
  note?: string;
}

/** Quotes a text for TOML, YAML, JSON, Python and JavaScript, which agree on such texts. */
const quoted = (text: string) => JSON.stringify(text);

const SHELL = "Shell";

export const CLIENTS: Client[] = [
  {
    id: "curl",
    name: "curl",
    surface: "Chat Completions",
    snippets: (base, model, key) => [{ where: SHELL, text: curl(base, model, key) }],
  },
  {
    id: "python",
    name: "Python, OpenAI SDK",
    surface: "Chat Completions",
    snippets: (base, model, key) => [
      {
        where: "Python",
        text: `from openai import OpenAI

client = OpenAI(base_url=${quoted(`${base}/v1`)}, api_key=${quoted(key)})
answer = client.chat.completions.create(
    model=${quoted(model)},
    messages=[{"role": "user", "content": ${quoted(QUESTION)}}],
)
print(answer.choices[0].message.content)`,
      },
    ],
  },
  {
    id: "javascript",
    name: "JavaScript, OpenAI SDK",
    surface: "Chat Completions",
    snippets: (base, model, key) => [
      {
        where: "JavaScript",
        text: `import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${quoted(`${base}/v1`)}, apiKey: ${quoted(key)} });
const stream = await client.chat.completions.create({
  model: ${quoted(model)},
  stream: true,
  messages: [{ role: "user", content: ${quoted(QUESTION)} }],
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");`,
      },
    ],
  },
  {
    id: "claude-code",
    name: "Claude Code",
    surface: "Messages",
    snippets: (base, model, key) => [
      {
        where: SHELL,
        text: `export ANTHROPIC_BASE_URL=${base}      # without /v1
export ANTHROPIC_API_KEY=${shell(key)}
export ANTHROPIC_MODEL=${shell(model)}
export ANTHROPIC_DEFAULT_HAIKU_MODEL=${shell(model)}
claude`,
      },
    ],
    note: "Its session id becomes the session in the log.",
  },
  {
    id: "codex",
    name: "Codex",
    surface: "Responses",
    snippets: (base, model, key) => [
      {
        where: "~/.codex/config.toml",
        text: `model = ${quoted(model)}
model_provider = "signalbox"

[model_providers.signalbox]
name = "Signalbox"
base_url = ${quoted(`${base}/v1`)}
env_key = "SIGNALBOX_API_KEY"
wire_api = "responses"`,
      },
      { where: SHELL, text: `export SIGNALBOX_API_KEY=${shell(key)}\ncodex` },
    ],
  },
  {
    id: "opencode",
    name: "OpenCode",
    surface: "Chat Completions",
    snippets: (base, model, key) => [
      {
        where: "opencode.json",
        text: JSON.stringify(
          {
            provider: {
              signalbox: {
                npm: "@ai-sdk/openai-compatible",
                options: { baseURL: `${base}/v1`, apiKey: key },
                models: { [model]: {} },
              },
            },
            small_model: `signalbox/${model}`,
          },
          null,
          2,
        ),
      },
      { where: SHELL, text: `opencode run -m ${shell(`signalbox/${model}`)} ${shell("Fix the tests.")}` },
    ],
    note: "OpenCode does not ask for the list of models: each one has to be named under models.",
  },
  {
    id: "cline",
    name: "Cline",
    surface: "Responses",
    snippets: (base, model, key) => [
      { where: SHELL, text: `cline auth -p openai-native -k ${shell(key)} -m ${shell(model)} -b ${base}/v1` },
    ],
    note: "In the editor, choose OpenAI Compatible and enter the base URL, key and model.",
  },
  {
    id: "continue",
    name: "Continue",
    surface: "Chat Completions",
    snippets: (base, model, key) => [
      {
        where: "config.yaml",
        text: `name: signalbox
version: 1.0.0
schema: v1
models:
  - name: ${quoted(model)}
    provider: openai
    model: ${quoted(model)}
    apiBase: ${base}/v1
    apiKey: ${quoted(key)}
    roles: [chat, edit, apply]
    capabilities: [tool_use]`,
      },
    ],
  },
  {
    id: "aider",
    name: "aider",
    surface: "Chat Completions",
    snippets: (base, model, key) => [
      {
        where: SHELL,
        text: `export OPENAI_API_BASE=${base}/v1
export OPENAI_API_KEY=${shell(key)}
aider --no-show-model-warnings --model ${shell(`openai/${model}`)}`,
      },
    ],
  },
  {
    id: "qwen-code",
    name: "Qwen Code",
    surface: "Chat Completions",
    snippets: (base, model, key) => [
      {
        where: SHELL,
        text: `export OPENAI_BASE_URL=${base}/v1
export OPENAI_API_KEY=${shell(key)}
export OPENAI_MODEL=${shell(model)}
qwen --auth-type openai`,
      },
    ],
  },
  {
    id: "roo-code",
    name: "Roo Code",
    surface: "Chat Completions",
    snippets: (base, model, key) => [
      { where: "API Provider", text: "OpenAI Compatible" },
      { where: "Base URL", text: `${base}/v1` },
      { where: "API Key", text: key },
      { where: "Model", text: model },
    ],
    note: "In the settings of the extension, under Providers. The model has to call tools.",
  },
  {
    id: "cursor",
    name: "Cursor",
    surface: "Chat Completions",
    snippets: (base, model, key) => [
      { where: "OpenAI API Key", text: key },
      { where: "Override OpenAI Base URL", text: `${base}/v1` },
      { where: "Add model", text: model },
    ],
    note:
      "In its settings, under Models and API Keys. The requests come from Cursor's servers: the address has to be a " +
      "public one with HTTPS, such as that of a reverse proxy, and client keys have to be configured. Completions " +
      "while you type come from Cursor's own models.",
  },
  {
    id: "open-webui",
    name: "Open WebUI",
    surface: "Chat Completions",
    snippets: (base, model, key) => [
      {
        where: SHELL,
        text: `export OPENAI_API_BASE_URL=${base}/v1
export OPENAI_API_KEY=${shell(key)}
export DEFAULT_MODELS=${shell(model)}
open-webui serve`,
      },
    ],
    note:
      "It lists all models by itself. The variables count at its first start; later, its admin settings have them " +
      "under Connections. In a container, localhost is the container: use an address of this machine there, for which " +
      "client keys have to be configured.",
  },
  {
    id: "anthropic-python",
    name: "Python, Anthropic SDK",
    surface: "Messages",
    snippets: (base, model, key) => [
      {
        where: "Python",
        text: `from anthropic import Anthropic

client = Anthropic(base_url=${quoted(base)}, api_key=${quoted(key)})
answer = client.messages.create(
    model=${quoted(model)}, max_tokens=100, messages=[{"role": "user", "content": ${quoted(QUESTION)}}]
)
print(answer.content[0].text)`,
      },
    ],
  },
  {
    id: "other",
    name: "Another client",
    surface: "any",
    snippets: (base, model, key) => [
      { where: "Base URL of OpenAI's clients", text: `${base}/v1` },
      { where: "Base URL of Anthropic's clients", text: base },
      { where: "API key", text: key },
      { where: "Model", text: model },
    ],
  },
];
