// Requests of many kinds, so that every page has something to show.
import { deflateSync } from "node:zlib";

const chat = (router, body, headers = {}) =>
  fetch(`${router}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  }).then((answer) => answer.text());

const says = (role, content) => ({ role, content });

/** Returns a PNG of one colour, as a data URL. */
function picture() {
  const crc = (bytes) => {
    let sum = ~0;
    for (const byte of bytes) {
      sum ^= byte;
      for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
    }
    return ~sum >>> 0;
  };
  const number = (value) => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value].map((byte) => byte & 255));
  const chunk = (name, data) => {
    const named = Buffer.concat([Buffer.from(name), data]);
    return Buffer.concat([number(data.length), named, number(crc(named))]);
  };
  const side = 16;
  const row = Buffer.from([0, ...Array(side).fill([31, 95, 214]).flat()]);
  const head = Buffer.concat([number(side), number(side), Buffer.from([8, 2, 0, 0, 0])]);
  const signature = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
  const pixels = deflateSync(Buffer.concat(Array(side).fill(row)));
  const file = Buffer.concat([signature, chunk("IHDR", head), chunk("IDAT", pixels), chunk("IEND", Buffer.alloc(0))]);
  return `data:image/png;base64,${file.toString("base64")}`;
}

const TOOLS = [
  {
    type: "function",
    function: {
      name: "read_file",
      description: "Reads a file of the workspace, with the numbers of its lines.",
      parameters: { type: "object", properties: { path: { type: "string" } }, required: ["path"] },
    },
  },
];

const MARKDOWN = `Three things are wrong with the parser:

1. **Offsets** are counted in characters, and the index in bytes.
2. The loop stops at the first empty line.
3. \`skip()\` is called twice.

\`\`\`rust
fn skip(&mut self) {
    self.at = self.text[self.at..].find('\\n').map_or(self.text.len(), |end| self.at + end + 1);
}
\`\`\`

| case | before | after |
|---|---|---|
| empty file | panics | \`Ok\` |
| no final newline | loses a line | keeps it |
`;

const PROVIDERS = [
  { id: "second-echo", name: "Second echo", type: "echo", config: {} },
  // Nothing listens there.
  { id: "far-away", name: "Far away", type: "openai", priority: -1, config: { baseURL: "http://127.0.0.1:9/v1", apiKey: "sk-not-a-real-key-0000000000" } },
];
const ROUTE = { model: "fast", targets: [{ provider: "echo", model: "echo", weight: 2 }] };

/** Adds what is not there yet: a second provider, one that cannot be reached, and a route. */
async function prepare(server) {
  const post = (path, body) =>
    fetch(server.url + path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const { routes } = await (await fetch(`${server.url}/api/routes`)).json();
  const added = await Promise.all([
    ...PROVIDERS.map((provider) => post("/api/providers", provider)),
    ...(routes.length === 0 ? [post("/api/routes", ROUTE)] : []),
  ]);
  for (const { status, url } of added) if (![200, 201, 409].includes(status)) throw new Error(`${url} answers with ${status}`);
}

/** Returns once the router answers. */
export async function running(router) {
  const until = Date.now() + 60_000;
  for (;;) {
    const answer = await fetch(`${router}/health`).catch(() => null);
    if (answer?.ok) return;
    if (Date.now() > until) throw new Error("the router does not answer");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Sends requests of every kind. */
export async function send(server) {
  const router = `http://127.0.0.1:${server.routerPort}`;
  await running(router);
  await prepare(server);
  const asked = [
    says("system", "You are a careful reviewer. Answer briefly, and name the lines that you mean."),
    says("user", "Review the parser, and tell me why it loses the last line of a file."),
  ];
  await chat(router, { model: "no-such-model", messages: [says("user", "Who answers this?")] });
  const words = "The quick brown fox jumps over the lazy dog and asks for a very long line that no table can show. ";
  await chat(router, { model: "a-model-with-a-very-long-name-that-somebody-has-chosen-2026-11-30-preview", messages: [says("user", words.repeat(40))] });
  await chat(router, { model: "echo", messages: [asked[0], says("user", MARKDOWN)] });
  await chat(router, { model: "echo", stream: true, messages: asked });
  const called = { role: "assistant", content: null, tool_calls: [{ id: "call_1", type: "function", function: { name: "read_file", arguments: '{"path": "src/parser.rs"}' } }] };
  const found = { role: "tool", tool_call_id: "call_1", content: "1 | pub struct Parser<'a> {\n2 |     text: &'a str,\n3 | }" };
  await chat(router, { model: "echo", tools: TOOLS, messages: [...asked, called, found, says("user", "And now?")] });
  const image = { type: "image_url", image_url: { url: picture() } };
  await chat(router, { model: "second-echo/echo", messages: [says("user", [{ type: "text", text: "What is in this picture?" }, image])] });
  await chat(router, { model: "far-away/gpt-5", messages: [says("user", "Is anybody out there?")] });
  const session = { "x-session-id": "refactoring" };
  for (const text of ["Rename the module to journal.", "Now move its tests beside it.", "Thank you. Summarise what changed."])
    await chat(router, { model: "echo", messages: [says("user", text)] }, session);
}
