import { describe, expect, it } from "vitest";
import { mistakesByField } from "./mistakes";
import { asProblem, problemOf } from "./problem";
import { preview } from "./request-filters";

describe("problems", () => {
  it("are read from each shape of an error", () => {
    const invalid = problemOf(
      400,
      { error: { message: "Validation failed", type: "validation_error", errors: ["id is required"] } },
      "r1",
    );
    expect([invalid.message, invalid.details.mistakes, invalid.details.requestId]).toEqual([
      "Validation failed",
      ["id is required"],
      "r1",
    ]);
    const port = problemOf(409, {
      success: false,
      error: "Port 3001 is taken",
      message: "m",
      code: "PORT_IN_USE",
      port: 3001,
      owner: { pid: 9, name: "node" },
    });
    expect(port.details).toMatchObject({ code: "PORT_IN_USE", port: 3001, owner: { pid: 9, name: "node" } });
    expect(problemOf(400, { error: "Validation failed", message: "Port must be an integer" }).message).toBe(
      "Port must be an integer",
    );
    expect(problemOf(502, "<html>").message).toBe("<html>");
    expect(problemOf(500, null).message).toBe("The server answered with status 500.");
  });

  it("say when there is no server", () => {
    expect(asProblem(new TypeError("Failed to fetch")).isOffline).toBe(true);
    expect(asProblem("x").message).toBe("x");
  });

  it("belong to their fields", () => {
    const problem = problemOf(400, {
      error: {
        message: "m",
        errors: ["name is required", "name_2: bad", "config.timeout must be a number", "unknown field: x"],
      },
    });
    expect(problem.details.fields).toBeUndefined();
    const told = problemOf(400, {
      error: { message: "m", details: [{ field: "a", message: "b" }, { field: 1 }, "x"] },
    });
    expect(told.details.fields).toEqual([{ field: "a", message: "b" }]);
    const sorted = mistakesByField(problem, ["name", "name_2", "timeout"]);
    expect(Object.fromEntries(sorted)).toEqual({
      name: ["name is required"],
      name_2: ["name_2: bad"],
      timeout: ["config.timeout must be a number"],
      "": ["unknown field: x"],
    });
  });
});

describe("the preview of a request", () => {
  it("is the last message of the user", () => {
    expect(
      preview({
        messages: [
          { role: "user", content: "a" },
          { role: "user", content: [{ type: "text", text: "b" }, { type: "image" }] },
          { role: "assistant", content: "c" },
        ],
      }),
    ).toBe("b");
    expect([
      preview({ input: "hello" }),
      preview({ prompt: "p" }),
      preview(null),
      preview({ messages: "?" }),
      preview("text"),
    ]).toEqual(["hello", "p", "", "", ""]);
  });
});
