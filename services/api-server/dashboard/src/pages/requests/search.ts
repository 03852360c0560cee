import type { Choice, ListRange, RequestFilters } from "../../api/request-filters";
import { flagParam, numberParam, textParam, wordParam } from "../../app/search";
import { RANGE_NAMES } from "../../format/ranges";

// The shell reads addresses, and needs no words for states.
export { STATUSES } from "./statuses";

/** The list, as it is in the address. */
export interface ListSearch extends RequestFilters {
  /** Time with which the list begins, with newer requests above. */
  at?: number | undefined;
  /** The request that is looked at beside the list. */
  peek?: string | undefined;
}

/** Maximum values of a filter: the server takes no more. */
const MAX_VALUES = 50;

/** Returns one value or several, such as of `model=a&model=b`. */
function choiceParam(raw: Record<string, unknown>, name: string): Choice | undefined {
  const value = raw[name];
  const given = Array.isArray(value) ? value : [value];
  const texts = given.flatMap((one) => textParam({ one }, "one") ?? []);
  const values = [...new Set(texts)].slice(0, MAX_VALUES);
  return values.length > 1 ? values : values[0];
}

/** Returns a number of at least zero. */
function amountParam(raw: Record<string, unknown>, name: string): number | undefined {
  const value = numberParam(raw, name);
  return value !== undefined && value >= 0 ? Math.round(value) : undefined;
}

export function requestsSearch(raw: Record<string, unknown>): ListSearch {
  return {
    q: textParam(raw, "q"),
    status: choiceParam(raw, "status"),
    model: choiceParam(raw, "model"),
    provider: choiceParam(raw, "provider"),
    key: textParam(raw, "key"),
    session: textParam(raw, "session"),
    path: textParam(raw, "path"),
    stream: flagParam(raw, "stream"),
    has_error: flagParam(raw, "has_error"),
    error: textParam(raw, "error"),
    min_ms: amountParam(raw, "min_ms"),
    max_ms: amountParam(raw, "max_ms"),
    range: wordParam<ListRange>(raw, "range", [...RANGE_NAMES, "any"]),
    from: numberParam(raw, "from"),
    to: numberParam(raw, "to"),
    at: numberParam(raw, "at"),
    peek: textParam(raw, "peek"),
  };
}

/** Returns whether any filter is set. A range that ends now is none: there always is one. */
export function isFiltered({ range: _, at: __, peek: ___, ...filters }: ListSearch): boolean {
  return Object.values(filters).some((value) => value !== undefined);
}

export const TABS = ["messages", "tools", "timing", "explain", "usage", "raw"] as const;

export interface RequestSearch {
  tab?: (typeof TABS)[number] | undefined;
  /** Body shown in the tab `raw`. */
  body?: string | undefined;
  /** Text that is looked for in the messages. */
  find?: string | undefined;
}

export function requestSearch(raw: Record<string, unknown>): RequestSearch {
  return { tab: wordParam(raw, "tab", TABS), body: textParam(raw, "body"), find: textParam(raw, "find") };
}
