// The tool loops: the calls that the model is told to make, and the expected content of each call.

import assert from "node:assert/strict";

export const TURNS = 20;
const NAMES = ["bash", "edit", "glob", "grep", "list", "read", "task", "todoread", "todowrite", "webfetch", "write"];

export const SCHEMA = {
  type: "object",
  properties: {
    text: { type: "string", description: "Any text" },
    code: { type: "string" },
    count: { type: "integer" },
    flag: { type: "boolean" },
    items: { type: "array", items: { type: "string" } },
    options: { type: "object", additionalProperties: true },
  },
  required: ["text", "code", "count", "flag", "items", "options"],
};

/** The calls of one turn: one, two or three of them, with everything in their arguments that is easily lost. */
function calls(turn) {
  return Array.from({ length: 1 + (turn % 3) }, (_, index) => {
    const name = NAMES[(turn * 3 + index) % NAMES.length];
    return {
      name,
      arguments: {
        text: `<p>turn ${turn}</p> & "quotes"\n<${name}>inside</${name}>, not the end </text> of it`,
        code: "007",
        count: turn,
        flag: turn % 2 === 0,
        items: ["a", "b, c"],
        options: { depth: { of: [1, 2.5, null] } },
      },
    };
  });
}

/** What the user asks for: fake-qwen calls these tools turn by turn, and says what it was told after each. */
export function plan() {
  const turns = Array.from({ length: TURNS }, (_, turn) => {
    const lines = calls(turn).map((call) => `call ${call.name} ${JSON.stringify(call.arguments)}`);
    return (turn === 0 ? lines : ["repeat", ...lines]).join("\n");
  });
  return [...turns, "repeat\nsay all done"].join("\nthen\n");
}

/** One run of the plan: checks each call, and knows what its tool says. */
export class Work {
  turn = 0;
  #expected = calls(0);
  #told = [];

  static names = NAMES;

  /** Runs the tool: the first call of a turn has no output. */
  execute(name, given) {
    const index = this.#told.length;
    const expected = this.#expected[index];
    assert.deepEqual({ name, arguments: given }, expected, `turn ${this.turn}, call ${index}`);
    const output = index === 0 ? "" : `output ${this.turn}.${index}`;
    this.#told.push(output);
    return output;
  }

  /** The next turn, in which the model has to repeat what it was told. */
  next() {
    assert.equal(this.#told.length, this.#expected.length, `calls of turn ${this.turn}`);
    const told = this.#told;
    this.turn += 1;
    this.#expected = this.turn < TURNS ? calls(this.turn) : [];
    this.#told = [];
    return told;
  }
}

/** Nothing of what the tools said is lost, and silence is told as such. */
export function repeats(text, told) {
  for (const output of told) assert.ok(text.includes(output || "completed successfully"), `${output} is not in ${text}`);
}

/** Runs all checks; the exit status is 1 if one failed. */
export async function run(checks) {
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log("ok", name);
    } catch (error) {
      process.exitCode = 1;
      console.log("FAILED", name);
      console.error(error);
    }
  }
}
