/**
 * What is entered into the form of a document: the document as it is stored, and the texts of the inputs that differ
 * from it. Whatever has not been edited, is sent back as it is, whether the form shows it or not. Pure.
 */

import { fromLocalInput, toLocalInput } from "../format/time";
import { type FormNode, nodeAt } from "./schema";

export type Json = Record<string, unknown>;

export interface Entry {
  stored: Json;
  /** By path. An empty text removes the field, or the section. */
  texts: Record<string, string>;
}

/** Returns the form of a document without the fields that only the server sets. */
export function entryOf(document: object, own: readonly string[] = []): Entry {
  return {
    stored: Object.fromEntries(Object.entries(document).filter(([name]) => !own.includes(name))),
    texts: {},
  };
}

/** Returns the text of the input of a field. */
export function textAt(form: FormNode, entry: Entry, path: string): string {
  return entry.texts[path] ?? textBefore(form, entry, path);
}

/** Returns the entry with another text for a field. A text that changes nothing is forgotten. */
export function withText(form: FormNode, entry: Entry, path: string, text: string): Entry {
  const { [path]: _, ...texts } = entry.texts;
  const before = textBefore(form, entry, path);
  const isDefault = before === "" && text === String(nodeAt(form, path).default ?? "");
  if (text !== before && !isDefault) texts[path] = text;
  return { ...entry, texts };
}

/** Returns the entry without a section, including the fields in it that the form does not show. */
export function withoutSection(entry: Entry, section: string): Entry {
  const texts = Object.fromEntries(Object.entries(entry.texts).filter(([path]) => !isWithin(path, section)));
  if (valueAt(entry.stored, section) != null) texts[section] = "";
  return { ...entry, texts };
}

/** Returns the number of fields that are set in a section. */
export function countIn(form: FormNode, entry: Entry, section: string): number {
  const { document } = documentOf(form, entry);
  return leavesOf(valueAt(document, section), nodeAt(form, section));
}

/** A document to send, and the mistakes that keep it from being sent. */
export interface Sendable {
  document: Json;
  /** Each begins with the path of its field. */
  mistakes: string[];
}

/**
 * Returns the document of an entry. Whatever can be sent is left to the server to judge, including numbers that are
 * none; a section of which a required part is missing is not sent.
 */
export function documentOf(form: FormNode, { stored, texts }: Entry): Sendable {
  const document = structuredClone(stored);
  const mistakes: string[] = [];
  // Sections before their fields: one that was removed may have been begun anew.
  for (const [path, text] of Object.entries(texts).sort(([a], [b]) => a.length - b.length)) {
    const parsed = parse(nodeAt(form, path), text);
    if ("mistake" in parsed) mistakes.push(`${path} ${parsed.mistake}`);
    else if (parsed.value === undefined) remove(document, path);
    else put(document, path, parsed.value);
  }
  // A text that cannot be read is one mistake, and not a missing field as well.
  const unread = new Set(mistakes.map((mistake) => mistake.split(" ", 1)[0]));
  for (const path of missing(form, document)) if (!unread.has(path)) mistakes.push(`${path} is required`);
  return { document, mistakes };
}

/** Returns whether two entries would send the same, or have the same mistakes. */
export function isSameEntry(a: Entry, b: Entry): boolean {
  return sorted(a) === sorted(b);
}

function sorted({ stored, texts }: Entry): string {
  return JSON.stringify([stored, Object.entries(texts).sort(([a], [b]) => (a < b ? -1 : 1))]);
}

/** Returns the entries of a list that is typed with commas or lines between them. */
export function listOf(typed: string): string[] {
  const parts = typed.split(/[\n,]/).map((one) => one.trim());
  return [...new Set(parts.filter((one) => one !== ""))];
}

/** Returns the text for what is stored. */
export function textOf(node: FormNode, value: unknown): string {
  if (value === undefined || value === null) return "";
  if (node.type === "time") return typeof value === "number" ? toLocalInput(value) : String(value);
  if (node.type === "array" && Array.isArray(value)) return value.map(String).join("\n");
  if (typeof value !== "object") return String(value);
  return Object.keys(value).length === 0 ? "" : JSON.stringify(value, null, 2);
}

function textBefore(form: FormNode, entry: Entry, path: string): string {
  const isRemoved = Object.keys(entry.texts).some((other) => other !== path && isWithin(path, other));
  return isRemoved ? "" : textOf(nodeAt(form, path), valueAt(entry.stored, path));
}

function isWithin(path: string, section: string): boolean {
  return path === section || path.startsWith(`${section}.`);
}

function parse(node: FormNode, text: string): { value: unknown } | { mistake: string } {
  const trimmed = text.trim();
  if (trimmed === "") return { value: undefined };
  switch (node.type) {
    case "integer":
    case "number": {
      const value = Number(trimmed);
      return { value: Number.isFinite(value) ? value : trimmed };
    }
    case "boolean":
      return { value: trimmed === "true" };
    case "time":
      return { value: fromLocalInput(trimmed) ?? trimmed };
    case "array": {
      const list = listOf(trimmed);
      return { value: list.length > 0 ? list : undefined };
    }
    case "object":
      return parseObject(trimmed);
    default:
      return { value: trimmed };
  }
}

function parseObject(text: string): { value: unknown } | { mistake: string } {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? { value } : { mistake: 'must be a JSON object, such as {"temperature": 0.2}' };
  } catch (error) {
    return { mistake: `must be JSON: ${error instanceof Error ? error.message : "it cannot be read"}` };
  }
}

/** Returns the paths of required fields that are missing in a document, or in a section that it has. */
function missing(form: FormNode, document: Json, prefix = ""): string[] {
  const absent = (form.required ?? []).filter((name) => document[name] == null).map((name) => prefix + name);
  const below = Object.entries(form.properties ?? {}).flatMap(([name, node]) => {
    const section = document[name];
    return node.properties && isObject(section) ? missing(node, section, `${prefix}${name}.`) : [];
  });
  return [...absent, ...below];
}

function valueAt(document: Json, path: string): unknown {
  return path.split(".").reduce<unknown>((value, name) => (isObject(value) ? value[name] : undefined), document);
}

function put(document: Json, path: string, value: unknown): void {
  const [name, rest] = split(path);
  if (rest === null) {
    document[name] = value;
    return;
  }
  const section = isObject(document[name]) ? document[name] : {};
  document[name] = section;
  put(section, rest, value);
}

/** Removes a field, and the section that has no value without it. */
function remove(document: Json, path: string): void {
  const [name, rest] = split(path);
  const section = document[name];
  if (rest === null) {
    delete document[name];
  } else if (isObject(section)) {
    remove(section, rest);
    if (Object.values(section).every((value) => value == null)) delete document[name];
  }
}

function split(path: string): [name: string, rest: string | null] {
  const at = path.indexOf(".");
  return at < 0 ? [path, null] : [path.slice(0, at), path.slice(at + 1)];
}

function leavesOf(value: unknown, node: FormNode): number {
  if (value == null || value === node.default) return 0;
  if (!isObject(value) || !node.properties) return 1;
  return Object.entries(value).reduce(
    (sum, [name, part]) => sum + leavesOf(part, node.properties?.[name] ?? UNKNOWN),
    0,
  );
}

/** A field that the schema does not have. */
const UNKNOWN: FormNode = { type: "string" };

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
