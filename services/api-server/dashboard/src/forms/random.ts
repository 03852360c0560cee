/** Documents at random, for tests: the same ones in every run. */

import type { Json } from "./entry";
import type { FormNode } from "./schema";

/** Returns a generator of numbers from 0 up to 1 (mulberry32). */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Returns a document of a schema. Each optional field is absent, null or set; each object may have a field that the
 * schema does not know.
 */
export function documentFor(form: FormNode, next: () => number): Json {
  const document: Json = {};
  for (const [name, node] of Object.entries(form.properties ?? {})) {
    const choice = form.required?.includes(name) ? 1 : next();
    if (choice > 0.4) document[name] = valueFor(node, next);
    else if (choice > 0.3) document[name] = null;
  }
  if (next() > 0.7) document.from_a_newer_version = { kept: [next()] };
  return document;
}

function valueFor(node: FormNode, next: () => number): unknown {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T;
  if (node.enum) return pick(node.enum);
  switch (node.type) {
    case "object":
      return node.properties ? documentFor(node, next) : { temperature: next(), nested: { a: [1, null, "b"] } };
    case "array":
      return Array.from({ length: 1 + Math.floor(next() * 3) }, (_, at) =>
        node.items?.type === "string" && !node.items.enum ? `entry ${at}` : valueFor(node.items ?? node, next),
      );
    case "boolean":
      return next() > 0.5;
    case "integer":
      return Math.floor(next() * 100_000);
    case "number":
      return next() * 100;
    case "time":
      // With seconds, which the input does not show.
      return 1_700_000_000_000 + Math.floor(next() * 1e11);
    default:
      return pick(["a", " with spaces ", "comma, and more", "ümläut"]);
  }
}
