/** The form of a provider, from the description of its type. Pure. */

/** A field, as `GET /api/providers/types` describes it. */
export interface FieldSchema {
  type: string;
  description: string;
  sensitive?: boolean | undefined;
  example?: unknown;
  default?: unknown;
}

export interface TypeSchema {
  value: string;
  label: string;
  description: string;
  requiredConfig: string[];
  optionalConfig: string[];
  configSchema: Record<string, FieldSchema>;
  capabilities: string[];
}

export interface ConfigField extends FieldSchema {
  key: string;
  required: boolean;
  /** Words to choose from, if there are only some. */
  choices: string[] | null;
}

/** Values that are words of a fixed list; the description of the type names them in its text only. */
const CHOICES: Record<string, string[]> = {
  logBodies: ["full", "redact", "off"],
  streamUsage: ["ask", "client"],
};

/** What the server shows of a secret that is set. */
export const MASK = "***MASKED***";

/** Returns the fields of a type: the required ones first. */
export function fieldsOf(type: TypeSchema | undefined): ConfigField[] {
  if (!type) return [];
  const keys = [...type.requiredConfig, ...type.optionalConfig];
  return keys.flatMap((key) => {
    const schema = type.configSchema[key];
    if (!schema) return [];
    return [{ ...schema, key, required: type.requiredConfig.includes(key), choices: CHOICES[key] ?? null }];
  });
}

const ACRONYMS = new Set(["api", "url", "ca", "id", "ms", "json", "tls", "http", "sse", "ip"]);

/** Returns the name of a setting as words: `baseURL` is `Base URL`, and `streamUsage` is `Stream usage`. */
export function labelOf(key: string): string {
  const words = key
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/[_-]+/g, " ")
    .toLowerCase()
    .split(" ")
    .map((word) => (ACRONYMS.has(word) ? word.toUpperCase() : word));
  const text = words.join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Returns an id for a name: small letters, digits and hyphens. */
export function idFrom(name: string): string {
  return name
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 128);
}

/** Returns a stored value as the text of its input. */
export function shown(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  if (typeof value !== "object") return String(value);
  return isLines(value)
    ? Object.entries(value)
        .map(([name, text]) => `${name}: ${text}`)
        .join("\n")
    : JSON.stringify(value, null, 2);
}

/** Returns whether lines of `name: value` stand for an object: its values are texts of one line. */
function isLines(value: object): boolean {
  const isLine = (text: unknown) => typeof text === "string" && text === text.trim() && !text.includes("\n");
  const isName = (name: string) => /^[^\s:{[][^:\n]*$/.test(name) && name === name.trim();
  return !Array.isArray(value) && Object.entries(value).every(([name, text]) => isName(name) && isLine(text));
}

/** Returns whether a stored value is a secret that the server does not show. */
export function isMasked(value: unknown): boolean {
  return value === MASK;
}

/** A value that can be sent, or what is wrong with the text. */
export type Parsed = { value: unknown } | { mistake: string };

/** Reads the text of an input. */
export function parse(field: Pick<FieldSchema, "type"> & { key: string }, text: string): Parsed {
  const trimmed = text.trim();
  if (field.type === "number") {
    const value = Number(trimmed);
    return trimmed !== "" && Number.isFinite(value) ? { value } : { mistake: `${field.key} must be a number` };
  }
  if (field.type === "boolean") return { value: trimmed === "true" };
  if (field.type !== "object") return { value: trimmed };
  if (/^[{[]/.test(trimmed)) return parseJson(field.key, trimmed);
  const pairs: [string, string][] = [];
  for (const line of trimmed.split("\n").filter((line) => line.trim() !== "")) {
    const at = line.indexOf(":");
    if (at < 1) return { mistake: `${field.key} must have one \`name: value\` per line` };
    pairs.push([line.slice(0, at).trim(), line.slice(at + 1).trim()]);
  }
  return { value: Object.fromEntries(pairs) };
}

function parseJson(key: string, text: string): Parsed {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { mistake: `${key} must be JSON: ${error instanceof Error ? error.message : "it cannot be read"}` };
  }
}

/** What the user has changed: a text, or `null` for a value to be removed. Untouched fields are absent. */
export type Edits = Record<string, string | null>;

/** Returns the edits that may be stored in the browser. */
export function withoutSecrets(fields: readonly ConfigField[], edits: Edits): Edits {
  // The values of an object may be headers with keys in them.
  const open = new Set(fields.filter(({ sensitive, type }) => !sensitive && type !== "object").map(({ key }) => key));
  return Object.fromEntries(Object.entries(edits).filter(([key, text]) => text === null || open.has(key)));
}

export interface Changes {
  put: Record<string, unknown>;
  remove: string[];
  mistakes: string[];
}

/** Returns what is to be sent: touched fields only, so that a masked secret never goes back. */
export function changesOf(fields: ConfigField[], stored: Record<string, unknown>, edits: Edits): Changes {
  const changes: Changes = { put: {}, remove: [], mistakes: [] };
  for (const [key, text] of Object.entries(edits)) {
    if (text === null || text.trim() === "") {
      if (key in stored) changes.remove.push(key);
      continue;
    }
    const field = fields.find((one) => one.key === key) ?? { key, type: typeof stored[key] };
    const parsed = parse(field, text);
    if ("mistake" in parsed) changes.mistakes.push(parsed.mistake);
    else if (JSON.stringify(parsed.value) !== JSON.stringify(stored[key])) changes.put[key] = parsed.value;
  }
  return changes;
}

/** Returns whether there is anything to save. */
export function isDirty(changes: Changes): boolean {
  return changes.mistakes.length > 0 || changes.remove.length > 0 || Object.keys(changes.put).length > 0;
}

/** Returns what usually helps with an error of a provider, or `null`. */
export function remedy(error: string): string | null {
  const rules: [RegExp, string][] = [
    [
      /\b401\b|unauthori[sz]ed|invalid.*key|incorrect.*key/i,
      "The service refuses the key. Check that it is complete and belongs to this service.",
    ],
    [/\b403\b|forbidden/i, "The key is known, but may not do this. Check its permissions or the region."],
    [
      /\b404\b|not found/i,
      "The address answers, but not at this path. Most services need the version path, such as /v1.",
    ],
    [/\b429\b|quota|rate.?limit/i, "The service has no quota left for this key, or asks for fewer requests."],
    [
      /resolve|dns|lookup|ENOTFOUND|name or service/i,
      "The host name cannot be found. Check the address for typing mistakes.",
    ],
    [/refused|ECONNREFUSED/i, "Nothing listens at this address. Check that the server runs, and its port."],
    [/certificate|tls|ssl/i, "The certificate is not trusted. For a private authority, name its file in caFile."],
    [/timed? ?out|deadline/i, "It did not answer in time. Check the network, a proxy, or whether the server is busy."],
    [/login|credential/i, "It needs a login at chat.qwen.ai: see Qwen logins."],
  ];
  return rules.find(([pattern]) => pattern.test(error))?.[1] ?? null;
}
