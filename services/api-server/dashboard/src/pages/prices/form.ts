/** The form of the operator's own prices: what is typed, and the document that is sent. Pure. */

import { documentOf, type Entry, entryOf, isSameEntry, type Json, textAt } from "../../forms/entry";
import { pathsIn } from "../../forms/schema";
import { sentAmount, sentRatio, typedAmount, typedRatio } from "./amounts";
import { CLASSES, ROW, THRESHOLD, UNITS } from "./schema";

export interface ThresholdDraft extends Entry {
  /** Identity while others are removed. */
  key: number;
}

export interface RowDraft extends Entry {
  key: number;
  over: ThresholdDraft[];
}

export interface PricesDraft {
  /** `json`: the text is what is sent. */
  mode: "form" | "json";
  text: string;
  /** Fields of the document beside its rows. */
  head: Json;
  rows: RowDraft[];
}

/** Fields that a model without a price does not have. */
const NOT_FREE = ["base", "over", "over_applies", "tier", "units"];
/** Fields of shipped rows that say where they come from. */
const ORIGIN = ["source", "unverified", "note"];

// Input of an earlier page has keys, too.
let lastKey = Date.now();

function keyed<T extends Entry>(entry: T): T & { key: number } {
  lastKey += 1;
  return { ...entry, key: lastKey };
}

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const object = (value: unknown): Json => (isObject(value) ? value : {});

/** Returns an object with some of its fields changed; those that are absent stay absent. */
function mapped(value: Json, names: readonly string[], change: (value: unknown) => unknown): Json {
  const changed = names.filter((name) => name in value).map((name) => [name, change(value[name])]);
  return { ...value, ...Object.fromEntries(changed) };
}

function rates(value: unknown, amount: (value: unknown) => unknown, ratio: (value: unknown) => unknown): unknown {
  return isObject(value) ? mapped(mapped(value, CLASSES, amount), ["x"], ratio) : value;
}

/** Changes every amount and ratio of a row that the form has. */
function withAmounts(
  row: Json,
  perToken: (value: unknown) => unknown,
  perUnit: (value: unknown) => unknown,
  ratio: (value: unknown) => unknown,
): Json {
  const each = (value: unknown, change: (value: unknown) => unknown) =>
    isObject(value) ? mapped(value, Object.keys(value), change) : value;
  return mapped(
    mapped(
      mapped(row, ["base"], (base) => rates(base, perToken, ratio)),
      ["tier"],
      (tier) => each(tier, (one) => rates(one, perToken, ratio)),
    ),
    ["units"],
    (units) => each(units, perUnit),
  );
}

/** Returns the form of a row. */
export function rowDraft(row: unknown): RowDraft {
  const perToken = (value: unknown) => typedAmount(value, "token");
  const perUnit = (value: unknown) => typedAmount(value, "unit");
  const { over, ...fields } = withAmounts(object(row), perToken, perUnit, typedRatio);
  const thresholds = Array.isArray(over) ? over : [];
  return {
    ...keyed(entryOf(fields)),
    over: thresholds.map((one) => thresholdDraft(object(rates(one, perToken, typedRatio)))),
  };
}

export function thresholdDraft(stored: Json = {}): ThresholdDraft {
  return keyed(entryOf(stored));
}

/** Returns the form of a row that replaces one of the table. */
export function overrideOf(row: unknown): RowDraft {
  const copied = Object.entries(object(row)).filter(([name]) => !ORIGIN.includes(name));
  return rowDraft(Object.fromEntries(copied));
}

/** Returns the row to send. */
export function rowOf(draft: RowDraft): { row: Json; mistakes: string[] } {
  const { document, mistakes } = documentOf(ROW, draft);
  const row = withAmounts(document, sentAmount, sentAmount, sentRatio);
  const over = draft.over.map((one) => documentOf(THRESHOLD, one));
  if (over.length > 0) row.over = over.map(({ document }) => rates(document, sentAmount, sentRatio));
  if (row.free === true) for (const name of NOT_FREE) delete row[name];
  return {
    row,
    mistakes: [...mistakes, ...over.flatMap(({ mistakes }, at) => mistakes.map((mistake) => `over.${at}.${mistake}`))],
  };
}

/** Returns the form of a stored document; `null` stands for none. */
export function draftOf(document: unknown): PricesDraft {
  const { prices, ...head } = object(document);
  return { mode: "form", text: "", head, rows: Array.isArray(prices) ? prices.map(rowDraft) : [] };
}

/** A document to send, or why it cannot be. */
export type Sendable = { document: Json; mistakes: string[] } | { mistake: string };

/** Returns the document to send. */
export function sendableOf({ mode, text, head, rows }: PricesDraft): Sendable {
  if (mode === "json") {
    const read = readJson(text);
    return "mistake" in read ? read : { document: read.document, mistakes: [] };
  }
  const read = rows.map(rowOf);
  return {
    document: { ...head, prices: read.map(({ row }) => row) },
    mistakes: read.flatMap(({ mistakes }, at) => mistakes.map((mistake) => `prices.${at}.${mistake}`)),
  };
}

function readJson(text: string): { document: Json } | { mistake: string } {
  try {
    const document: unknown = JSON.parse(text);
    return isObject(document)
      ? { document }
      : { mistake: 'The document must be a JSON object, such as {"prices": []}.' };
  } catch (error) {
    return { mistake: `This is no JSON. ${error instanceof Error ? error.message : ""}`.trim() };
  }
}

/** Returns the same input as a JSON document. */
export function asJson(draft: PricesDraft): PricesDraft {
  const sendable = sendableOf(draft);
  const document = "document" in sendable ? sendable.document : {};
  return { ...draft, mode: "json", text: JSON.stringify(document, null, 2) };
}

/** Returns the same input as rows, or why it cannot be read. */
export function asForm(draft: PricesDraft): PricesDraft | { mistake: string } {
  const read = readJson(draft.text);
  if ("mistake" in read) return read;
  const { prices = [] } = read.document;
  if (!Array.isArray(prices) || !prices.every(isObject)) return { mistake: "prices must be a list of rows." };
  return draftOf(read.document);
}

/** Returns whether two forms would send the same document. */
export function isSame(a: PricesDraft, b: PricesDraft): boolean {
  if (a.mode === "json" && b.mode === "json") return a.text === b.text;
  if (a.mode === "form" && b.mode === "form") {
    return (
      JSON.stringify(a.head) === JSON.stringify(b.head) &&
      a.rows.length === b.rows.length &&
      a.rows.every((row, at) => isSameRow(row, b.rows[at] as RowDraft))
    );
  }
  const [one, other] = [sendableOf(a), sendableOf(b)];
  return "document" in one && "document" in other && JSON.stringify(one.document) === JSON.stringify(other.document);
}

function isSameRow(a: RowDraft, b: RowDraft): boolean {
  return (
    isSameEntry(a, b) &&
    a.over.length === b.over.length &&
    a.over.every((one, at) => isSameEntry(one, b.over[at] as ThresholdDraft))
  );
}

/** Returns all paths at which the form shows mistakes. */
export function pathsOf({ mode, rows }: PricesDraft): string[] {
  if (mode === "json") return [];
  return rows.flatMap(({ over }, at) => [
    `prices.${at}`,
    ...pathsIn(ROW, `prices.${at}.`),
    `prices.${at}.over`,
    ...over.flatMap((_, n) => [`prices.${at}.over.${n}`, ...pathsIn(THRESHOLD, `prices.${at}.over.${n}.`)]),
  ]);
}

/** Returns a mistake without its path and the name of its row, which are where it is shown. */
export function shortMistake(mistake: string): string {
  const words = mistake.replace(/^prices\.\d+\S*( \([^)]*\))? /, "");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Returns the fields of a row that only its JSON shows. */
export function hiddenFields({ stored }: RowDraft): string[] {
  const tiers = object(stored.tier);
  const apart = Object.keys(tiers).filter((name) => Object.keys(object(tiers[name])).some((field) => field !== "x"));
  return [
    ...Object.keys(stored).filter((name) => !(name in (ROW.properties ?? {}))),
    ...apart.map((name) => `prices of the tier ${name}`),
    ...Object.keys(object(stored.units)).filter((name) => !UNITS.some(([known]) => known === name)),
  ];
}

/** Returns the id of a row as it is typed. */
export function idOf(row: RowDraft): string {
  return textAt(ROW, row, "id").trim();
}

/** Returns what costs what in a document, by the id of its rows, so that two of them can be compared. */
export function rowsById(document: unknown): Json {
  const { prices, ...head } = object(document);
  const rows = Array.isArray(prices) ? prices.map(object) : [];
  return { ...head, ...Object.fromEntries(rows.map((row, at) => [String(row.id ?? `row ${at + 1}`), row])) };
}
