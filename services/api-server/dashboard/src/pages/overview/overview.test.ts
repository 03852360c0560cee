import { describe, expect, it } from "vitest";
import { answeredOf, sumsOf } from "../../api/overview";
import { parseSent } from "../../api/sent";
import type { TopRow } from "../../api/usage";
import { barsOf } from "./bars";
import { chosenOf, doneOf, localServers, triedModel } from "./steps";

const row = (key: string, requests: number, errors = 0, others: Partial<TopRow> = {}): TopRow => ({
  key,
  requests,
  errors,
  prompt: 0,
  completion: 0,
  cost_nano: 0,
  ...others,
});

describe("sums", () => {
  it("add up the statuses, and take times of completed requests", () => {
    const rows = [
      row("failed", 2, 2, { p50: 5, prompt: 10 }),
      row("completed", 8, 0, {
        p50: 800,
        p95: 4000,
        ttft50: 300,
        prompt: 100,
        completion: 50,
        cost_nano: 1_500_000_000,
      }),
    ];
    expect(sumsOf(rows)).toEqual({
      requests: 10,
      failed: 2,
      prompt: 110,
      completion: 50,
      cost: 1.5,
      p50: 800,
      p95: 4000,
      first: 300,
    });
  });

  it("know no times without a completed request", () => {
    expect(sumsOf([])).toMatchObject({ requests: 0, p50: null, p95: null, first: null });
    expect(sumsOf([row("failed", 1, 1, { p50: 5 })]).p50).toBeNull();
  });

  it("become bars of which a single request can be seen", () => {
    const bars = barsOf({ requests: [0, 1, 1000, 4], errors: [0, 1, 500] }, 40);
    expect(bars).toEqual([
      { all: 0, failed: 0 },
      { all: 2, failed: 2 },
      { all: 40, failed: 20 },
      { all: 2, failed: 0 },
    ]);
    expect(barsOf({ requests: [], errors: [] }, 40)).toEqual([]);
  });
});

describe("the first steps", () => {
  const provider = (id: string, type: string, enabled = true) => ({ id, name: id, type, enabled });
  const none = { providers: [], client: false };

  it("do not count what works without anybody", () => {
    const all = [
      provider("echo", "echo"),
      provider("qwen-proxy-default", "qwen-proxy"),
      provider("lm-studio-default", "lm-studio", false),
      provider("mine", "openai"),
    ];
    expect(chosenOf(all, false).map(({ id }) => id)).toEqual(["mine"]);
    expect(chosenOf(all, true).map(({ id }) => id)).toEqual(["qwen-proxy-default", "mine"]);
  });

  it("are done by success only", () => {
    const chosen = [provider("mine", "openai")];
    const known = { running: true, chosen, models: new Map<string, string[]>(), answered: none };
    expect(doneOf(known)).toEqual({ router: true, provider: false, message: false, client: false });
    expect(doneOf({ ...known, models: new Map([["mine", []]]) }).provider).toBe(false);
    expect(doneOf({ ...known, models: new Map([["mine", ["gpt"]]]) }).provider).toBe(true);
    expect(doneOf({ ...known, answered: { providers: ["mine"], client: true } })).toEqual({
      router: true,
      provider: true,
      message: true,
      client: true,
    });
    // An answer of another provider says nothing about this one.
    expect(doneOf({ ...known, answered: { providers: ["echo"], client: false } })).toMatchObject({
      provider: false,
      message: true,
      client: false,
    });
    expect(doneOf({ ...known, chosen: [provider("q", "qwen-proxy")] }).provider).toBe(true);
  });

  it("tell the console from other clients, and failures from answers", () => {
    const request = (request_id: string, others: { key_id?: string; replay_of?: string } = {}) => ({
      request_id,
      ...others,
    });
    const own = [request("1", { key_id: "service" }), request("2", { replay_of: "0" }), request("3")];
    expect(answeredOf([row("mine", 2, 2), row("", 3)], own, ["3"])).toEqual(none);
    expect(answeredOf([row("mine", 3, 2)], [...own, request("4")], ["3"])).toEqual({
      providers: ["mine"],
      client: true,
    });
    expect(answeredOf([], [request("5", { key_id: "a-key" })], ["3"]).client).toBe(true);
    expect(parseSent('["1", 2]')).toEqual(["1"]);
    expect(parseSent("{}")).toEqual([]);
    expect(parseSent("[")).toEqual([]);
  });

  it("try a model of the provider that was chosen", () => {
    const chosen = [provider("empty", "openai"), provider("mine", "openai")];
    expect(
      triedModel({
        chosen,
        models: new Map([
          ["empty", []],
          ["mine", ["default", "other"]],
        ]),
      }),
    ).toBe("default");
    expect(triedModel({ chosen, models: new Map() })).toBeUndefined();
  });

  it("offer the model servers that the server knows", () => {
    const type = (value: string, usual?: string) => ({
      value,
      label: value.toUpperCase(),
      configSchema: { baseURL: { default: usual } },
    });
    expect(
      localServers([type("openai", "https://api.openai.com/v1"), type("ollama", "http://127.0.0.1:11434/v1")]),
    ).toEqual([{ type: "ollama", label: "OLLAMA", address: "127.0.0.1:11434" }]);
    expect(localServers([type("vllm")])).toEqual([]);
  });
});
