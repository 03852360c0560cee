import type { Choice } from "../../api/request-list";
import type { SessionFilters, SessionSort } from "../../api/session-list";
import { textParam, wordParam } from "../../app/search";

export const SORTS = ["created_at", "last_accessed"] as const satisfies SessionSort[];

export type SessionsSearch = SessionFilters;

export function sessionsSearch(raw: Record<string, unknown>): SessionsSearch {
  const given = Array.isArray(raw.model) ? raw.model : [raw.model];
  const models = given.flatMap((one) => textParam({ one }, "one") ?? []).slice(0, 50);
  const chosen: Choice | undefined = models.length > 1 ? models : models[0];
  return { sort: wordParam(raw, "sort", SORTS), q: textParam(raw, "q"), model: chosen };
}
