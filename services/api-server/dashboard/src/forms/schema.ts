/** The schemas of documents with forms: their fields by path, and the words about them. Pure. */

import { bytes, count } from "../format/numbers";
import { duration } from "../format/time";

/** A field of a document, or the document itself. */
export interface FormNode {
  /** `time` is a number of milliseconds since 1970. */
  type: "object" | "array" | "string" | "integer" | "number" | "boolean" | "time";
  description?: string;
  minimum?: number;
  /** Lower bound that is not allowed itself. */
  exclusiveMinimum?: number;
  maximum?: number;
  maxItems?: number;
  /** The allowed words. */
  enum?: string[];
  /** The value that applies while none is set, if the schema tells. */
  default?: string | boolean;
  items?: FormNode;
  /** Fields of an object. An object without them may have any. */
  properties?: Record<string, FormNode>;
  required?: string[];
}

/** Returns the field at a path, such as `cache.ttl_ms`. Throws if the schema has none. */
export function nodeAt(form: FormNode, path: string): FormNode {
  return path.split(".").reduce((node, name) => {
    const found = node.properties?.[name];
    if (!found) throw new Error(`The schema has no field ${path}`);
    return found;
  }, form);
}

/** Returns the paths of all sections and fields. Entries of lists have none. */
export function pathsIn(form: FormNode, prefix = ""): string[] {
  return Object.entries(form.properties ?? {}).flatMap(([name, node]) => [
    prefix + name,
    ...pathsIn(node, `${prefix}${name}.`),
  ]);
}

/** Returns whether the object that a field belongs to cannot be without it. */
export function isRequired(form: FormNode, path: string): boolean {
  const at = path.lastIndexOf(".");
  const parent = at < 0 ? form : nodeAt(form, path.slice(0, at));
  return parent.required?.includes(path.slice(at + 1)) ?? false;
}

const UNITS: [suffix: string, unit: string, readable: (value: number) => string][] = [
  ["_ms", "milliseconds", duration],
  ["_bytes", "bytes", bytes],
  ["_usd", "dollars", count],
];

/** Returns the unit of a field: the end of its name tells it. */
export function unitOf(path: string): string | null {
  return UNITS.find(([suffix]) => path.endsWith(suffix))?.[1] ?? null;
}

/** Returns a number of a field as it is easily read, such as `2 h` for one in milliseconds; `null` if it is already. */
export function readable(path: string, text: string): string | null {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < 1000) return null;
  const [, unit, words] = UNITS.find(([suffix]) => path.endsWith(suffix)) ?? [];
  return words === undefined || unit === "dollars" ? null : words(value);
}

/** Returns the sentence about the bounds of a number, such as `1 to 1,000.`; empty if there are none. */
export function boundsOf(path: string, node: FormNode): string {
  const { minimum, exclusiveMinimum, maximum } = node;
  const words = (value: number) => readable(path, String(value)) ?? number.format(value);
  const least = minimum === undefined ? null : words(minimum);
  if (exclusiveMinimum !== undefined)
    return maximum === undefined
      ? `More than ${words(exclusiveMinimum)}.`
      : `More than ${words(exclusiveMinimum)}, up to ${words(maximum)}.`;
  if (maximum === undefined) return least === null ? "" : `At least ${least}.`;
  return least === null || minimum === 1 ? `Up to ${words(maximum)}.` : `${least} to ${words(maximum)}.`;
}

const number = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 6 });
