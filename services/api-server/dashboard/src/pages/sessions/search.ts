import { wordParam } from "../../app/search";

export const SORTS = ["created_at", "last_accessed"] as const;

export interface SessionsSearch {
  sort?: (typeof SORTS)[number] | undefined;
}

export function sessionsSearch(raw: Record<string, unknown>): SessionsSearch {
  return { sort: wordParam(raw, "sort", SORTS) };
}
