import type { Choice } from "../../api/request-list";
import type { SessionFilters, SessionSort } from "../../api/session-list";
import { textParam, wordParam } from "../../app/search";

export const SORTS = ["created_at", "last_accessed"] as const satisfies SessionSort[];

export type SessionsSearch = SessionFilters;

export function sessionsSearch(raw: Record<string, unknown>): SessionsSearch {
  const { model } = raw;
  const models: string[] = Array.isArray(model) ? model.map(String) : (([textParam(raw, "model")] as string[]).filter(Boolean));
  const chosen: Choice | undefined = models.length > 1 ? models.slice(0, 50) : models[0];
  return { sort: wordParam(raw, "sort", SORTS), q: textParam(raw, "q"), model: chosen };
}
