import { describe, expect, it } from "vitest";
import { linksOf } from "../../api/links";
import { choicesOf, foundIn } from "./found";
import { modelsSearch } from "./search";

const model = (id: string, description = "", capabilities = "[]") => ({ id, name: id, description, capabilities });

describe("models", () => {
  it("are found by all words", () => {
    const models = [model("gpt-4.1", "Large"), model("gpt-4.1-mini", "small"), model("llama")];
    expect(foundIn(models, "GPT small").map(({ id }) => id)).toEqual(["gpt-4.1-mini"]);
    expect(foundIn(models, "")).toHaveLength(3);
  });

  it("offer the capabilities that were seen, and the chosen one", () => {
    expect(choicesOf([model("a", "", '["vision","chat"]'), model("b", "", "no JSON")], ["tools"], "audio")).toEqual([
      "audio",
      "chat",
      "tools",
      "vision",
    ]);
    expect(choicesOf([], [], undefined)).toEqual([]);
  });

  it("are linked to providers", () => {
    const links = linksOf([
      [
        "one",
        [
          { id: "a", is_default: true },
          { id: "b", is_default: false },
        ],
      ],
      ["two", [{ id: "a", is_default: false }]],
      ["none", []],
    ]);
    expect(links.byModel.get("a")).toEqual([
      { provider: "one", isDefault: true },
      { provider: "two", isDefault: false },
    ]);
    expect(links.byModel.get("c")).toBeUndefined();
    expect(links.byProvider.get("one")).toEqual(["a", "b"]);
    expect(links.byProvider.get("none")).toEqual([]);
  });

  it("keep their filters in the address", () => {
    expect(modelsSearch({ q: 4, provider: "one", capability: "", other: 1 })).toEqual({
      q: "4",
      provider: "one",
      capability: undefined,
    });
  });
});
