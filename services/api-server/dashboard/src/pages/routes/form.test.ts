import { describe, expect, it } from "vitest";
import type { RouteView } from "../../api/access-queries";
import {
  bodyOf,
  copyOf,
  draftOf,
  emptyDraft,
  isSame,
  moved,
  newTarget,
  pathsOf,
  problemsByTarget,
  shares,
} from "./form";

const stored: RouteView = {
  id: "r",
  model: "fast",
  enabled: false,
  aliases: ["quick", "swift"],
  policy: "weighted",
  targets: [
    { provider: "groq", model: "llama", weight: 3, params: { temperature: 0.2 } },
    { provider: "openai", model: "gpt", context_tokens: 8192 },
  ],
  retries: 0,
  deadlines: { total_ms: 60_000 },
  resume: "verbatim",
  sticky: "session",
  strict: true,
  resumable: true,
  cache: { ttl_ms: 60_000, scope: "key" },
  guard: { cards: "refuse" },
  problems: [],
  created_at: 1,
  updated_at: 1,
} as unknown as RouteView;

describe("the form of a route", () => {
  it("sends back what was stored", () => {
    const { id: _, problems: _p, created_at: _c, updated_at: _u, ...document } = stored;
    const versioned = { ...stored, etag: '"1-a"' };
    const { body, mistakes } = bodyOf(draftOf(versioned));
    expect(mistakes).toEqual([]);
    expect(JSON.parse(JSON.stringify(body))).toEqual(document);
  });

  it("reads routes whose defaults are left out", () => {
    const bare = { id: "r", model: "m", enabled: true, problems: [], created_at: 1, updated_at: 1, targets: [] };
    expect(draftOf(bare)).toMatchObject({ policy: "priority", aliases: "", retries: "", resume: "off", sticky: "" });
  });

  it("leaves empty fields out, and what is no number to the server", () => {
    const draft = { ...emptyDraft(), model: " m ", retries: "many", aliases: "a, b\n\n c" };
    draft.targets = [newTarget({ provider: "p", model: "x", weight: " 2 " })];
    const sent = JSON.parse(JSON.stringify(bodyOf(draft).body));
    expect(sent).toMatchObject({ model: "m", retries: "many", aliases: ["a", "b", "c"], deadlines: {} });
    expect(sent.targets).toEqual([{ provider: "p", model: "x", weight: 2 }]);
    expect(sent).not.toHaveProperty("sticky");
  });

  it("says where a text is no JSON object", () => {
    const draft = emptyDraft();
    draft.targets = [newTarget({ params: "{" }), newTarget({ params: "[1]" }), newTarget({ params: " " })];
    const { mistakes } = bodyOf(draft);
    expect(mistakes).toHaveLength(2);
    expect(mistakes[0]).toMatch(/^targets\[0\]\.params must be JSON: /);
    expect(mistakes[1]).toMatch(/^targets\[1\]\.params must be a JSON object/);
  });

  it("knows whether it was changed, whatever the identities of its targets are", () => {
    expect(isSame(draftOf(stored), draftOf(stored))).toBe(true);
    expect(isSame(draftOf(stored), { ...draftOf(stored), strict: false })).toBe(false);
    const reordered = draftOf(stored);
    reordered.targets = moved(reordered.targets, 0, 1);
    expect(isSame(draftOf(stored), reordered)).toBe(false);
  });

  it("gives a copy names of its own", () => {
    expect(copyOf(stored)).toMatchObject({ model: "fast-copy", aliases: "", policy: "weighted" });
  });

  it("has a place for each mistake", () => {
    expect(pathsOf(draftOf(stored))).toEqual(
      expect.arrayContaining(["model", "deadlines.idle_ms", "targets[1].weight", "targets[1].context_tokens"]),
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
