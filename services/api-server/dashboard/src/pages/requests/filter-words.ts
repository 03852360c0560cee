/** Filters of the list in words, each with how it is removed. Pure. */

import { choices, rangeOf } from "../../api/request-list";
import { RANGES } from "../../format/ranges";
import { duration, timeOfDay } from "../../format/time";
import { type ListSearch, requestsSearch } from "./search";
import { statusWords } from "./status-words";

export interface FilterWords {
  name: string;
  words: string;
  /** Changes that remove the filter. */
  without: ListSearch;
}

/** Returns every filter that is set, but for a range that ends now. `keyName` returns the name of a client key. */
export function filterWords(search: ListSearch, keyName: (id: string) => string): FilterWords[] {
  const { q, status, model, provider, key, session, path, stream, has_error, error, min_ms, max_ms, from, to } = search;
  const found: FilterWords[] = [];
  const add = (name: string, words: string | undefined, without: ListSearch) => {
    if (words !== undefined && words !== "") found.push({ name, words, without });
  };
  const quoted = (text: string | undefined) => text && `“${text}”`;
  add("Text", quoted(q), { q: undefined });
  add("State", choices(status).map(statusWords).join(", "), { status: undefined });
  add("Model", choices(model).join(", "), { model: undefined });
  add("Provider", choices(provider).join(", "), { provider: undefined });
  add("Key", key && keyName(key), { key: undefined });
  add("Session", session && `${session.slice(0, 8)}…`, { session: undefined });
  add("Path", path, { path: undefined });
  add("Mode", stream === undefined ? undefined : stream ? "streamed" : "whole", { stream: undefined });
  add("Errors", has_error === undefined ? undefined : has_error ? "with an error" : "without an error", {
    has_error: undefined,
  });
  add("Error", quoted(error), { error: undefined });
  add("Took", min_ms === undefined ? undefined : `${duration(min_ms)} or more`, { min_ms: undefined });
  add("Took", max_ms === undefined ? undefined : `${duration(max_ms)} or less`, { max_ms: undefined });
  if (rangeOf(search) === undefined) {
    const ends = [
      from === undefined ? "" : `from ${timeOfDay(from)}`,
      to === undefined ? "" : `until ${timeOfDay(to)}`,
    ];
    add("Time", ends.filter(Boolean).join(" "), { from: undefined, to: undefined });
  }
  return found;
}

/** Returns the words for the time of a list, such as `the last 24 h`. */
export function rangeWords(search: ListSearch): string {
  const range = rangeOf(search);
  if (range === "any") return "all time";
  return range === undefined ? "this time" : `the last ${RANGES[range][0]}`;
}

/** Returns an address without filters: the range stays, unless both ends of a time were given. */
export function withoutFilters({ range }: ListSearch): ListSearch {
  return defined({ range });
}

/** Returns the address after changes; the page of the list and what was looked at belong to the one before. */
export function changed(search: ListSearch, changes: ListSearch): ListSearch {
  return defined(requestsSearch({ ...search, at: undefined, peek: undefined, ...changes }));
}

/** Returns what is set: an address has nothing else. */
export function defined(search: ListSearch): ListSearch {
  return Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined));
}

/** Returns the filters of an address: what the server is asked with. */
export function filtersOf({ at: _, peek: __, ...filters }: ListSearch): ListSearch {
  return defined(filters);
}

/** Units of a duration that is typed, in milliseconds. */
const UNITS: Record<string, number> = { "": 1000, ms: 1, s: 1000, min: 60_000, h: 3_600_000 };

/** Returns the milliseconds of a text such as `5`, `1.5 s`, `800 ms` or `2 min`; `null` if it is none. */
export function milliseconds(text: string): number | null | undefined {
  if (text.trim() === "") return undefined;
  const found = /^\s*(\d+(?:[.,]\d+)?)\s*(ms|s|min|h)?\s*$/.exec(text);
  return found ? Math.round(Number(found[1]!.replace(",", ".")) * UNITS[found[2] ?? ""]!) : null;
}
