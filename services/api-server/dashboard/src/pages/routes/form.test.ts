import { describe, expect, it } from "vitest";
import type { RouteView } from "../../api/access-queries";
import { ROUTE } from "../../api/forms";
import { withText } from "../../forms/entry";
import { documentFor, numbers } from "../../forms/random";
import {
  bodyOf,
  copyOf,
  draftOf,
  emptyDraft,
  FIELDS,
  isSame,
  moved,
  newTarget,
  pathsOf,
  problemsByTarget,
  type RouteDraft,
  shares,
  TARGET,
  type TargetDraft,
} from "./form";

const stored: RouteView = {
  id: "r",
  model: "fast",
  enabled: false,
  aliases: ["quick", "swift"],
  policy: "weighted",
  targets: [
    { provider: "groq", model: "llama", weight: 3, params: { temperature: 0.2 } },
    { provider: "openai", model: "gpt", context_tokens: 8192, can: ["tools"], region: "eu", max_price_usd: 0.5 },
  ],
  retries: 0,
  deadlines: { total_ms: 60_000 },
  resume: "verbatim",
  sticky: "session",
  strict: true,
  resumable: true,
  cache: { ttl_ms: 60_000, scope: "key" },
  guard: { cards: "refuse" },
  limits: { rpm: 5, queue: { max_waiting: 2, timeout_ms: 100 } },
  hedge: { quantile: 0.95, min_ms: 100 },
  mirror: { provider: "p", model: "m", percent: 1 },
  problems: [],
  created_at: 1,
  updated_at: 1,
} as unknown as RouteView;

function typed(draft: RouteDraft, texts: Record<string, string>): RouteDraft {
  return Object.entries(texts).reduce<RouteDraft>(
    (old, [path, text]) => ({ ...old, ...withText(FIELDS, old, path, text) }),
    draft,
  );
}

function target(texts: Record<string, string>): TargetDraft {
  const draft = newTarget();
  return Object.entries(texts).reduce<TargetDraft>(
    (old, [path, text]) => ({ ...old, ...withText(TARGET, old, path, text) }),
    draft,
  );
}

describe("the form of a route", () => {
  it("sends back what was stored", () => {
    const { id: _, problems: _p, created_at: _c, updated_at: _u, ...document } = stored;
    expect(bodyOf(draftOf({ ...stored, etag: '"1"' } as RouteView))).toEqual({ body: document, mistakes: [] });
    const next = numbers(5);
    for (let n = 0; n < 200; n += 1) {
      const document = documentFor(ROUTE, next);
      const read = { ...document, id: "r", problems: ["x"], created_at: 1, updated_at: 2, etag: null };
      expect(bodyOf(draftOf(read as never))).toEqual({ body: document, mistakes: [] });
    }
  });

  it("adds and removes sections", () => {
    const { id: _, problems: _p, created_at: _c, updated_at: _u, ...document } = stored;
    const { body } = bodyOf(typed(draftOf(stored), { "hedge.quantile": "0.9", "cache.scope": "" }));
    expect(body).toEqual({ ...document, hedge: { quantile: 0.9, min_ms: 100 }, cache: { ttl_ms: 60_000 } });
    const { mistakes } = bodyOf(typed(draftOf(stored), { "mirror.percent": "", "cache.ttl_ms": "" }));
    expect(mistakes).toEqual(["cache.ttl_ms is required", "mirror.percent is required"]);
  });

  it("leaves empty fields out, and what is no number to the server", () => {
    const draft = typed(emptyDraft(), { model: " m ", retries: "many", aliases: "a, b\n\n c", sticky: "" });
    draft.targets = [target({ provider: "p", model: "x", weight: " 2 " })];
    expect(bodyOf(draft).body).toEqual({
      model: "m",
      enabled: true,
      retries: "many",
      aliases: ["a", "b", "c"],
      targets: [{ provider: "p", model: "x", weight: 2 }],
    });
  });

  it("says where a text is no JSON object, and what is missing", () => {
    const draft = typed(emptyDraft(), { model: "m" });
    const named = { provider: "p", model: "x" };
    draft.targets = [
      { params: "{", ...named },
      { params: "[1]", ...named },
      { params: " ", provider: "p" },
    ].map(target);
    const { mistakes } = bodyOf(draft);
    expect(mistakes).toHaveLength(3);
    expect(mistakes[0]).toMatch(/^targets\[0\]\.params must be JSON: /);
    expect(mistakes[1]).toMatch(/^targets\[1\]\.params must be a JSON object/);
    expect(mistakes[2]).toBe("targets[2].model is required");
  });

  it("knows whether it was changed, whatever the identities of its targets are", () => {
    expect(isSame(draftOf(stored), draftOf(stored))).toBe(true);
    expect(isSame(draftOf(stored), typed(draftOf(stored), { strict: "false" }))).toBe(false);
    expect(isSame(draftOf(stored), typed(draftOf(stored), { strict: "true" }))).toBe(true);
    const reordered = draftOf(stored);
    reordered.targets = moved(reordered.targets, 0, 1);
    expect(isSame(draftOf(stored), reordered)).toBe(false);
    expect(isSame(draftOf(stored), { ...draftOf(stored), targets: [] })).toBe(false);
  });

  it("gives a copy names of its own", () => {
    const { body } = bodyOf(copyOf(stored));
    expect(body).toMatchObject({ model: "fast-copy", policy: "weighted", cache: stored.cache });
    expect(body).not.toHaveProperty("aliases");
    expect(body).not.toHaveProperty("id");
  });

  it("has a place for each mistake", () => {
    expect(pathsOf(draftOf(stored))).toEqual(
      expect.arrayContaining(["deadlines.idle_ms", "hedge", "limits.queue.timeout_ms", "targets[1].can"]),
    );
  });
});

describe("targets", () => {
  it("are moved, and stay at the ends", () => {
    expect(moved(["a", "b", "c"], 0, 1)).toEqual(["b", "a", "c"]);
    expect(moved(["a", "b", "c"], 2, -1)).toEqual(["a", "c", "b"]);
    for (const [at, by] of [
      [0, -1],
      [2, 1],
      [5, -1],
    ] as const) {
      expect(moved(["a", "b", "c"], at, by)).toEqual(["a", "b", "c"]);
    }
  });

  it("have problems by their number", () => {
    const sorted = problemsByTarget(["targets[1]: the provider x does not exist", "something else"]);
    expect([...sorted]).toEqual([[1, "the provider x does not exist"]]);
  });

  it("share the requests by their weights", () => {
    expect(shares(["3", ""])).toEqual([75, 25]);
    expect(shares(["x", "1"])).toEqual([null, null]);
  });
});
