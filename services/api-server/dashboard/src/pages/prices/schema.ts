/** The fields of a row of prices that the form has. The API describes rows by their mistakes only. */

import type { FormNode } from "../../forms/schema";

const TEXT: FormNode = { type: "string" };
const LIST: FormNode = { type: "array", items: TEXT };

/** Classes of tokens with a price of their own, and their names. */
export const MAIN_CLASSES = [
  ["in", "Input"],
  ["out", "Output"],
  ["cr", "Cache read"],
  ["cw_s", "Cache write"],
] as const;

export const OTHER_CLASSES = [
  ["cw_l", "Long cache write"],
  ["rs", "Reasoning"],
  ["in_audio", "Audio in"],
  ["in_image", "Images in"],
  ["out_audio", "Audio out"],
  ["out_image", "Images out"],
] as const;

export const CLASSES: string[] = [...MAIN_CLASSES, ...OTHER_CLASSES].map(([key]) => key);

export const UNITS = [
  ["web_search", "Web search"],
  ["request", "Request"],
  ["image", "Image"],
  ["audio_minute", "Minute of audio"],
  ["page", "Page"],
  ["character", "Character"],
] as const;

export const TIERS = [
  ["batch", "Batch"],
  ["flex", "Flex"],
  ["priority", "Priority"],
  ["ultrafast", "Ultrafast"],
] as const;

const fields = (names: readonly string[], node: FormNode): FormNode => ({
  type: "object",
  properties: Object.fromEntries(names.map((name) => [name, node])),
});
const names = (pairs: readonly (readonly [string, string])[]) => pairs.map(([name]) => name);

/** A row without its thresholds. Ratios are texts such as `1/2` in the form. */
export const ROW: FormNode = {
  type: "object",
  required: ["id"],
  properties: {
    id: TEXT,
    provider: LIST,
    provider_id: LIST,
    match: LIST,
    from: TEXT,
    until: TEXT,
    free: { type: "boolean" },
    base: fields(CLASSES, TEXT),
    tier: fields(names(TIERS), fields(["x"], TEXT)),
    units: fields(names(UNITS), TEXT),
    note: TEXT,
  },
};

/** Prices of requests with a longer prompt. */
export const THRESHOLD: FormNode = {
  type: "object",
  properties: { input_gt: { type: "integer" }, x: TEXT, ...fields(CLASSES, TEXT).properties },
};
