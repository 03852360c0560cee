/** The parameters of a request as they are typed, and the fields that they become. Pure. */

export interface Parameters {
  system: string;
  temperature: string;
  topP: string;
  maxTokens: string;
  /** Tools, as a JSON array. */
  tools: string;
  /** JSON schema of the answer. */
  schema: string;
  /** Further fields of the request, as a JSON object. */
  more: string;
}

export const NO_PARAMETERS: Parameters = {
  system: "",
  temperature: "",
  topP: "",
  maxTokens: "",
  tools: "",
  schema: "",
  more: "",
};

export type Mistakes = Map<keyof Parameters, string[]>;

/** Fields that the page sets itself. */
export const OWN_FIELDS = ["model", "messages", "stream", "stream_options"];

type Json = Record<string, unknown>;
const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

const NUMBERS = [
  { name: "temperature", field: "temperature", least: 0, most: 2, whole: false },
  { name: "topP", field: "top_p", least: 0, most: 1, whole: false },
  { name: "maxTokens", field: "max_tokens", least: 1, most: 10_000_000, whole: true },
] as const;

/** Returns the fields to send, and what is wrong with the others. Those that are empty are not sent. */
export function fieldsOf(given: Parameters): { fields: Json; mistakes: Mistakes } {
  const mistakes: Mistakes = new Map();
  const fields: Json = {};
  for (const { name, field, least, most, whole } of NUMBERS) {
    const typed = given[name].trim();
    if (typed === "") continue;
    const value = Number(typed);
    if (value >= least && value <= most && (!whole || Number.isInteger(value))) fields[field] = value;
    else mistakes.set(name, [`It must be a ${whole ? "whole " : ""}number from ${least} to ${most}`]);
  }
  read(given, "tools", mistakes, (tools) => {
    const wrong = mistakesOfTools(tools);
    if (wrong.length === 0) fields.tools = tools;
    return wrong;
  });
  read(given, "schema", mistakes, (schema) => {
    if (!isJson(schema)) return ['It must be a JSON object, such as {"type": "object"}'];
    fields.response_format = { type: "json_schema", json_schema: formatOf(schema) };
    return [];
  });
  read(given, "more", mistakes, (more) => {
    if (!isJson(more)) return ['It must be a JSON object, such as {"seed": 1}'];
    const own = OWN_FIELDS.filter((name) => name in more);
    if (own.length > 0) return [`${own.join(", ")} cannot be set here; the page sets it`];
    const twice = Object.keys(more).filter((name) => name in fields);
    if (twice.length > 0) return [`${twice.join(", ")} has a field of its own above`];
    Object.assign(fields, more);
    return [];
  });
  return { fields, mistakes };
}

function read(
  given: Parameters,
  name: "tools" | "schema" | "more",
  mistakes: Mistakes,
  use: (value: unknown) => string[],
) {
  if (given[name].trim() === "") return;
  let wrong: string[];
  try {
    wrong = use(JSON.parse(given[name]));
  } catch (error) {
    wrong = [`It must be JSON: ${error instanceof Error ? error.message : "it cannot be read"}`];
  }
  if (wrong.length > 0) mistakes.set(name, wrong);
}

/** Returns what is wrong with a list of tools. */
function mistakesOfTools(tools: unknown): string[] {
  if (!Array.isArray(tools)) return ['It must be a JSON array, such as [{"type": "function", "function": {…}}]'];
  const names = tools.map((tool) => (isJson(tool) && isJson(tool.function) ? tool.function.name : undefined));
  return tools.flatMap((tool, at) => {
    if (!isJson(tool)) return [`[${at}] must be an object`];
    // Built-in tools of providers have other types, and no function.
    if (typeof tool.type !== "string") return [`[${at}].type is missing; for a function it is "function"`];
    if (tool.type !== "function") return [];
    const name = names[at];
    if (typeof name !== "string" || name === "") return [`[${at}].function.name is missing`];
    if (names.indexOf(name) !== at) return [`[${at}].function.name: there is another tool named ${name}`];
    const { parameters } = tool.function as Json;
    if (parameters !== undefined && !isJson(parameters))
      return [`[${at}].function.parameters must be a JSON schema, which is an object`];
    return [];
  });
}

/** Returns the format of an answer from a schema alone, or with its name beside it. */
function formatOf(schema: Json): Json {
  const hasName = isJson(schema.schema) && typeof schema.name === "string";
  return hasName ? schema : { name: "answer", schema };
}

/** Further fields of Chat Completions that another request may bring with it. */
const KNOWN = [
  "seed",
  "stop",
  "presence_penalty",
  "frequency_penalty",
  "logprobs",
  "top_logprobs",
  "logit_bias",
  "tool_choice",
  "parallel_tool_calls",
  "reasoning_effort",
  "max_completion_tokens",
  "service_tier",
  "verbosity",
  "user",
];

/**
 * Returns the typed parameters that stand for the fields of a request, and the names of those that Chat Completions
 * does not have.
 */
export function parametersFrom(fields: Json): { parameters: Parameters; left: string[] } {
  const { temperature, top_p, max_tokens, max_output_tokens, tools, response_format, stop_sequences, ...others } =
    fields;
  const number = (value: unknown) => (typeof value === "number" ? String(value) : "");
  const parameters = { ...NO_PARAMETERS };
  parameters.temperature = number(temperature);
  parameters.topP = number(top_p);
  parameters.maxTokens = number(max_tokens ?? max_output_tokens);
  if (Array.isArray(tools) && tools.length > 0) parameters.tools = pretty(tools.map(asFunction));
  const more: Json = stop_sequences === undefined ? {} : { stop: stop_sequences };
  if (isJson(response_format) && isJson(response_format.json_schema))
    parameters.schema = pretty(response_format.json_schema);
  else if (response_format !== undefined) more.response_format = response_format;
  const left: string[] = [];
  for (const [name, value] of Object.entries(others)) {
    if (OWN_FIELDS.includes(name) || value === null || value === undefined) continue;
    // The choice of a tool has another form in the other APIs.
    const isForeign = name === "tool_choice" && isJson(value) && !isJson(value.function);
    if (KNOWN.includes(name) && !isForeign) more[name] = value;
    else left.push(name);
  }
  if (Object.keys(more).length > 0) parameters.more = pretty(more);
  return { parameters, left };
}

/** Returns a tool of Messages or Responses in the form of Chat Completions. */
function asFunction(tool: unknown): unknown {
  if (!isJson(tool) || isJson(tool.function) || typeof tool.name !== "string") return tool;
  const schema = tool.input_schema ?? tool.parameters;
  if (schema === undefined) return tool;
  const { name, description } = tool;
  return {
    type: "function",
    function: { name, ...(description === undefined ? {} : { description }), parameters: schema },
  };
}

function pretty(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
