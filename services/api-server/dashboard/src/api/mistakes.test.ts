import { describe, expect, it } from "vitest";
import { mistakesByField, mistakesByPath } from "./mistakes";
import { Problem } from "./problem";

const problemOf = (...mistakes: string[]) => new Problem("refused", { status: 400, mistakes });

describe("mistakes in a nested document", () => {
  it("belong to the field with their path, or to the nearest one above it", () => {
    const sorted = mistakesByPath(
      problemOf(
        "targets[1].weight must be a whole number from 1 to 1000",
        "targets[1].params.model must not be replaced; the router sets it",
        "targets[10].weight must be a whole number from 1 to 1000",
        "aliases[0] must not have a *",
        "targets is required: a list",
        "surprise is not a field",
      ),
      ["model", "aliases", "targets", "targets[1].weight", "targets[1].params", "targets[10].weight"],
    );
    expect(Object.fromEntries(sorted)).toEqual({
      "targets[1].weight": ["targets[1].weight must be a whole number from 1 to 1000"],
      "targets[1].params": ["targets[1].params.model must not be replaced; the router sets it"],
      "targets[10].weight": ["targets[10].weight must be a whole number from 1 to 1000"],
      aliases: ["aliases[0] must not have a *"],
      targets: ["targets is required: a list"],
      "": ["surprise is not a field"],
    });
  });

  it("have their fields from the server, if it tells them", () => {
    const problem = new Problem("refused", {
      status: 400,
      mistakes: ["The weight is too large.", "Nobody knows this."],
      fields: [
        { field: "targets[0].weight", message: "The weight is too large." },
        { field: "config.timeout", message: "It must be a number." },
        { field: "", message: "Nobody knows this." },
      ],
    });
    expect(Object.fromEntries(mistakesByPath(problem, ["targets", "targets[0].weight"]))).toEqual({
      "targets[0].weight": ["The weight is too large."],
      "": ["It must be a number.", "Nobody knows this."],
    });
    expect(mistakesByField(problem, ["timeout"]).get("timeout")).toEqual(["It must be a number."]);
  });

  it("do not go to a field whose name only begins alike", () => {
    expect([...mistakesByPath(problemOf("models must be a list"), ["model"]).keys()]).toEqual([""]);
    expect(mistakesByPath(null, ["model"]).size).toBe(0);
  });
});
