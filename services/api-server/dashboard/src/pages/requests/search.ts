import type { RequestFilters } from "../../api/queries";
import { flagParam, numberParam, textParam, wordParam } from "../../app/search";

/** States of a request, with their meaning. */
export const STATUSES = {
  pending: "it is being answered",
  completed: "it was answered completely",
  failed: "it was answered with an error",
  truncated: "the answer broke off, and the client was told",
  cancelled: "it was cancelled before there was an answer",
  client_disconnected: "the client left before the end",
  interrupted: "the router was killed while it was being answered",
} as const;

export function requestsSearch(raw: Record<string, unknown>): RequestFilters {
  return {
    q: textParam(raw, "q"),
    status: textParam(raw, "status"),
    model: textParam(raw, "model"),
    provider: textParam(raw, "provider"),
    session: textParam(raw, "session"),
    stream: flagParam(raw, "stream"),
    from: numberParam(raw, "from"),
    to: numberParam(raw, "to"),
  };
}

/** Returns whether any filter is set. */
export function isFiltered(filters: RequestFilters): boolean {
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
