import { describe, expect, it } from "vitest";
import { fieldChanges } from "../parts/field-changes";
import { changesIn, formatOf, valuesOf } from "./config/plan";
import { baseOf } from "./connect/base";
import { CLIENTS, curl, isServed, shell } from "./connect/snippets";
import { capabilitiesFrom, capabilitiesOf } from "./models/capabilities";
import { bodyOf as bodyOfModel, changesOf as changesOfModel, textsOf } from "./models/form";
import { resourceFacts, sparkline } from "./overview/resources";
import { perMillion, priceOf } from "./prices/rows";
import {
  changesOf,
  fieldsOf,
  idFrom,
  isDirty,
  labelOf,
  MASK,
  parse,
  remedy,
  shown,
  withoutSecrets,
} from "./providers/form";
import { expiryOf, readCookies, validityOf } from "./qwen/cookies";
import { answeredMessages, askedMessages, offeredTools } from "./requests/conversation";
import { translationParts } from "./requests/usage";
import {
  categoriesOf,
  isChanged,
  otherKeys,
  pendingPort,
  sentValue,
  shownValue,
  unknownSetting,
} from "./settings/known";

describe("conversations", () => {
  it("are read from Chat Completions", () => {
    const messages = askedMessages({
      messages: [
        { role: "system", content: "s" },
        {
          role: "user",
          content: [
            { type: "text", text: "t" },
            { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
          ],
        },
        { role: "assistant", content: null, tool_calls: [{ id: "c", function: { name: "f", arguments: '{"a":1}' } }] },
        { role: "tool", tool_call_id: "c", content: "done" },
      ],
    });
    expect(messages.map(({ role }) => role)).toEqual(["system", "user", "assistant", "tool"]);
    expect(messages[1]!.parts[1]).toMatchObject({ kind: "media", mime: "image/png", bytes: 3 });
    expect(messages[2]!.parts).toEqual([{ kind: "call", name: "f", id: "c", input: '{\n  "a": 1\n}' }]);
    expect(messages[3]!.parts).toEqual([{ kind: "result", id: "c", text: "done", media: [] }]);
  });

  it("are read from Messages and Responses", () => {
    const anthropic = askedMessages({
      system: "s",
      messages: [
        { role: "user", content: [{ type: "tool_result", tool_use_id: "u", content: [{ type: "text", text: "r" }] }] },
      ],
    });
    expect(anthropic[1]!.parts).toEqual([{ kind: "result", id: "u", text: "r", media: [] }]);
    const responses = askedMessages({
      instructions: "i",
      input: [
        { role: "user", content: [{ type: "input_text", text: "q" }] },
        { type: "function_call", call_id: "c", name: "f", arguments: "{}" },
        "plain",
      ],
    });
    expect(responses.map(({ parts }) => parts[0]!.kind)).toEqual(["text", "text", "call", "text"]);
    expect(
      answeredMessages({
        content: [
          { type: "thinking", thinking: "t" },
          { type: "text", text: "a" },
        ],
      })[0]!.parts.map(({ kind }) => kind),
    ).toEqual(["thinking", "text"]);
    expect(
      answeredMessages({
        output: [
          { type: "reasoning", summary: [{ text: "s" }] },
          { type: "message", role: "assistant", content: [{ type: "output_text", text: "a" }] },
        ],
      }),
    ).toHaveLength(2);
  });

  it("survive any body", () => {
    for (const body of [
      null,
      1,
      "text",
      [],
      {},
      { messages: [null, 1] },
      { input: [null] },
      { messages: [{ content: { a: 1 } }] },
      { choices: [null, {}] },
      { output: 1 },
    ]) {
      expect(() => [askedMessages(body), answeredMessages(body), offeredTools(body)]).not.toThrow();
    }
  });

  it("name what a translation did", () => {
    expect(translationParts("messages-chat; top_k=dropped, metadata=dropped;n=2")).toEqual({
      apis: "messages-chat",
      fields: [
        ["top_k", "dropped"],
        ["metadata", "dropped;n=2"],
      ],
    });
    expect(translationParts("responses-chat")).toEqual({ apis: "responses-chat", fields: [] });
  });
});

describe("snippets", () => {
  it("are quoted for a shell", () => {
    expect([shell("echo"), shell("it's"), shell("a b")]).toEqual(["echo", `'it'\\''s'`, "'a b'"]);
    expect(curl("http://localhost:3001", "echo")).toBe(
      `curl -N http://localhost:3001/v1/chat/completions -d '{"model":"echo","stream":true,"messages":[{"role":"user","content":"Is anybody there?"}]}'`,
    );
  });

  it("have the address, the model and the key in them", () => {
    for (const { id, snippets } of CLIENTS) {
      const text = snippets("http://box:3001", "openai/gpt-5", "sk-1")
        .map((snippet) => snippet.text)
        .join("\n");
      for (const part of ["http://box:3001", "gpt-5", "sk-1"]) expect(text, id).toContain(part);
    }
    const opencode = CLIENTS.find(({ id }) => id === "opencode")!.snippets("http://b", 'a"b', "k")[0]!.text;
    expect(Object.keys(JSON.parse(opencode).provider.signalbox.models)).toEqual(['a"b']);
  });

  it("are told where the server does not speak the API of the client", () => {
    const left = CLIENTS.filter((client) => !isServed(client, ["chat", "responses"])).map(({ id }) => id);
    expect(left).toEqual(["claude-code", "anthropic-python"]);
    expect(CLIENTS.every((client) => isServed(client, undefined))).toBe(true);
  });

  it("have the host that the browser sees", () => {
    expect(baseOf({ protocol: "http:", hostname: "192.168.1.7" }, 3001)).toBe("http://192.168.1.7:3001");
    expect(baseOf({ protocol: "https:", hostname: "[::1]" }, 1)).toBe("https://[::1]:1");
  });
});

describe("provider forms", () => {
  const fields = fieldsOf({
    value: "openai",
    label: "OpenAI",
    description: "",
    requiredConfig: ["apiKey"],
    optionalConfig: ["timeout", "headers", "unknown"],
    capabilities: [],
    configSchema: {
      timeout: { type: "number", description: "" },
      headers: { type: "object", description: "" },
      apiKey: { type: "string", description: "", sensitive: true },
    },
  });

  it("have the required fields first", () => {
    expect(fields.map(({ key, required }) => [key, required])).toEqual([
      ["apiKey", true],
      ["timeout", false],
      ["headers", false],
    ]);
  });

  it("send touched fields only, and never a mask", () => {
    const stored = { apiKey: MASK, timeout: 5, extra: "x" };
    expect(changesOf(fields, stored, {})).toEqual({ put: {}, remove: [], mistakes: [] });
    expect(changesOf(fields, stored, { timeout: "5" }).put).toEqual({});
    expect(changesOf(fields, stored, { timeout: "9", headers: "X-A: b:c\n\nX-B: d" }).put).toEqual({
      timeout: 9,
      headers: { "X-A": "b:c", "X-B": "d" },
    });
    expect(changesOf(fields, stored, { apiKey: null, timeout: " ", headers: "" }).remove).toEqual([
      "apiKey",
      "timeout",
    ]);
    expect(isDirty(changesOf(fields, stored, { timeout: "soon" }))).toBe(true);
  });

  it("name mistakes before they are sent", () => {
    expect(parse({ key: "timeout", type: "number" }, "soon")).toEqual({ mistake: "timeout must be a number" });
    expect(parse({ key: "headers", type: "object" }, "nonsense")).toHaveProperty("mistake");
  });

  it("keep objects and lists whose values are not all texts", () => {
    const values = [{ "X-A": "b" }, { n: 1, deep: { a: [true] } }, ["a", 2], { "a:b": "c" }, { a: "b\nc" }, {}];
    for (const value of values) expect(parse({ key: "k", type: "object" }, shown(value))).toEqual({ value });
    const stored = { list: ["a", 2] };
    expect(changesOf([], stored, { list: shown(["a", 3]) }).put).toEqual({ list: ["a", 3] });
    expect(changesOf([], stored, { list: shown(stored.list) })).toEqual({ put: {}, remove: [], mistakes: [] });
    expect(changesOf([], stored, { list: "[1," }).mistakes[0]).toMatch(/^list must be JSON: /);
  });

  it("make ids from names", () => {
    expect([idFrom("My Ölçüm GPT-5!"), idFrom("  "), idFrom("a".repeat(200)).length]).toEqual([
      "my-olcum-gpt-5",
      "",
      128,
    ]);
    expect(shown({ "X-A": "b" })).toBe("X-A: b");
  });

  it("say what helps", () => {
    expect(remedy("cannot resolve api.openai.com: failed to lookup address information")).toContain("host name");
    expect(remedy("it answered with status 401 Unauthorized")).toContain("key");
    expect(remedy("something else")).toBeNull();
  });
});

describe("logins", () => {
  const token = `h.${btoa(JSON.stringify({ exp: 1_800_000_000 }))}.s`;

  it("are read from a Cookie header", () => {
    expect(readCookies(`Cookie: a=b;  token=${token}; c=d=e`)).toEqual({
      token,
      cookies: `a=b; token=${token}; c=d=e`,
      expiresAt: 1_800_000_000,
      mistake: null,
    });
    expect(readCookies("").mistake).toBeNull();
    expect(readCookies("hello").mistake).toContain("Cookie header");
    expect(readCookies("a=b").mistake).toContain("token");
    expect([expiryOf("x"), expiryOf("a.b.c")]).toEqual([null, null]);
  });

  it("expire in seconds, while the clock is in milliseconds", () => {
    expect([validityOf(null, 0), validityOf(10 * 86_400, 0), validityOf(86_400, 0), validityOf(1, 1_000)]).toEqual([
      "ok",
      "ok",
      "soon",
      "expired",
    ]);
  });
});

describe("other pages", () => {
  it("compare two states", () => {
    expect(fieldChanges({ a: 1, b: "x" }, { a: 1, b: "y", c: [1] })).toEqual([
      { field: "b", before: "x", after: "y" },
      { field: "c", before: null, after: "[1]" },
    ]);
    expect(fieldChanges(null, null)).toEqual([]);
  });

  it("guess the format of a document", () => {
    expect([
      formatOf("a.YML", ""),
      formatOf("", "[providers.x]\n"),
      formatOf("", "providers:\n  a: 1"),
      formatOf("", ' {"a":1}'),
      formatOf("", " "),
    ]).toEqual(["yaml", "toml", "yaml", "json", "toml"]);
    expect(changesIn({ created: ["a"], updated: [{ path: "b", what: [] }], deleted: [], unchanged: ["c"] })).toBe(2);
  });

  it("show the values of a plan, or the names alone", () => {
    const plan = { created: [], updated: [{ path: "a", what: ["name"] }], deleted: [], unchanged: [] };
    expect(valuesOf(plan, "a", ["name"])).toEqual([{ field: "name", before: null, after: null }]);
    const told = {
      ...plan,
      changes: [
        { path: "a", field: "name", before: "x", after: ["y"] },
        { path: "b", field: "c" },
      ],
    };
    expect(valuesOf(told, "a", ["name"])).toEqual([{ field: "name", before: "x", after: '["y"]' }]);
  });

  it("name the settings of providers, and keep their secrets out of the browser", () => {
    expect(["apiKey", "baseURL", "streamUsage", "caFile", "log_bodies"].map(labelOf)).toEqual([
      "API key",
      "Base URL",
      "Stream usage",
      "CA file",
      "Log bodies",
    ]);
    const field = (key: string, type: string, sensitive = false) => ({
      key,
      type,
      sensitive,
      description: "",
      required: false,
      choices: null,
    });
    const fields = [field("apiKey", "string", true), field("headers", "object"), field("baseURL", "string")];
    expect(
      withoutSecrets(fields, { apiKey: "sk", headers: "a: b", baseURL: "http://x", other: "?", gone: null }),
    ).toEqual({
      baseURL: "http://x",
      gone: null,
    });
  });

  it("draw what processes use", () => {
    expect(sparkline([0, 10])).toBe("M0.0 15.0L72.0 1.0");
    expect(sparkline([5, null, 5])).toBe("M0.0 1.0M72.0 1.0");
    const stats = { cpu_percent: 2.14, rss_bytes: 41_000_000, open_files: 12, threads: 5 };
    expect(resourceFacts([undefined, stats]).map(([name]) => name)).toEqual(["CPU", "Memory", "Open"]);
    const unknown = { cpu_percent: null, rss_bytes: null, open_files: null, threads: null };
    expect([resourceFacts([]), resourceFacts([undefined]), resourceFacts([unknown])]).toEqual([[], [], []]);
  });

  it("read prices", () => {
    const row = {
      id: "m",
      source: "shipped",
      verified: false,
      price: {
        base: { in: "1", out: "2" },
        over: [{ input_gt: 272000, in: "2", out: "4" }],
        tier: { batch: { x: [1, 2] } },
      },
    };
    expect(priceOf(row)).toMatchObject({
      input: "1",
      output: "2",
      cacheRead: null,
      conditions: ["above 272,000 input tokens: $2 in, $4 out", "batch: × 1/2"],
    });
    expect(priceOf({ ...row, price: null })).toMatchObject({ input: null, conditions: [] });
    expect(priceOf({ ...row, price: { free: true } })).toMatchObject({ input: "0", output: "0", cacheRead: null });
    expect(["12.5", "0.075", "3", "0", null].map(perMillion)).toEqual(["$12.50", "$0.075", "$3", "$0", "–"]);
  });

  it("read capabilities", () => {
    expect([
      capabilitiesOf('["chat",1]'),
      capabilitiesOf("x"),
      capabilitiesOf(null),
      capabilitiesFrom(" chat, vision chat "),
    ]).toEqual([["chat"], [], [], ["chat", "vision"]]);
  });

  it("send the edited fields of a model", () => {
    const model = { id: "m", name: "M", description: null, capabilities: '["chat",{"future":1}]' };
    const texts = textsOf(model);
    expect(changesOfModel(model, texts)).toEqual({});
    expect(changesOfModel(model, { ...texts, name: " " })).toEqual({ name: "m" });
    expect(changesOfModel(model, { ...texts, capabilities: "chat, vision" })).toEqual({
      capabilities: ["chat", "vision"],
    });
    expect(bodyOfModel(" n ", { ...texts, name: "" })).toEqual({
      name: "n",
      description: null,
      capabilities: ["chat"],
    });
  });

  it("keep the type of settings that nothing describes", () => {
    for (const value of [5, true, { a: [1] }, [1], "text"]) {
      const { kind } = unknownSetting("x.y", value);
      expect(sentValue(kind, shownValue(value))).toEqual(value);
    }
    expect(unknownSetting("x.y", null).kind).toBe("text");
  });

  it("have the settings of a schema by category", () => {
    const of = (key: string, more: object) => ({
      key,
      category: key.split(".")[0]!,
      type: "string" as const,
      default: null,
      description: "d.",
      requiresRestart: false,
      ...more,
    });
    const categories = categoriesOf([
      of("server.timeout", { type: "integer", minimum: 1000, maximum: 600_000, unit: "ms", default: 120_000 }),
      of("logging.level", { enum: ["warn", "info"], default: "info" }),
      of("budget.owners", { type: "object" }),
      of("budget.amount", { type: "number", minimum: 0 }),
      of("active_provider", {}),
      of("system.autoStart", { type: "boolean", deprecated: true }),
      of("new.thing", { type: "boolean", default: true, requiresRestart: true }),
    ]);
    expect(categories.map(({ name, settings }) => [name, settings.map(({ kind }) => kind)])).toEqual([
      ["Routing", ["provider"]],
      ["Router", ["number"]],
      ["Budgets", ["json", "number"]],
      ["Logs", [{ choices: ["warn", "info"] }]],
      ["Others", ["switch"]],
    ]);
    const [timeout] = categories[1]!.settings;
    expect([timeout!.label, timeout!.hint]).toEqual([
      "Timeout in milliseconds",
      "d. From 1,000 to 600,000 milliseconds.",
    ]);
    expect([
      isChanged(timeout!, 120_000),
      isChanged(timeout!, 5),
      isChanged({ ...timeout!, byDefault: undefined }, 5),
    ]).toEqual([false, true, null]);
    expect([sentValue("json", '{"a":1}'), sentValue("json", "{"), sentValue("number", "0.5")]).toEqual([
      { a: 1 },
      "{",
      0.5,
    ]);
    expect([shownValue(null), shownValue({ a: 1 }), shownValue(false)]).toEqual(["", '{\n  "a": 1\n}', "false"]);
  });

  it("know what waits for a restart", () => {
    expect(pendingPort({ "server.port": 3005 }, { state: "running", port: 3001 })).toBe("port 3001 → 3005");
    expect(pendingPort({ "server.port": 3001 }, { state: "running", port: 3001 })).toBeNull();
    expect(pendingPort({ "server.port": 3005 }, { state: "stopped", port: 3001 })).toBeNull();
    expect([
      sentValue("port", " 3005 "),
      sentValue("port", "x"),
      sentValue("switch", "true"),
      sentValue("text", " a "),
    ]).toEqual([3005, "x", true, "a"]);
    expect(otherKeys({ "server.port": 1, "system.checkUpdates": true, "my.key": 1 })).toEqual(["my.key"]);
  });
});
