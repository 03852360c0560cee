import { textParam } from "../../app/search";

export interface ModelsSearch {
  q?: string | undefined;
  capability?: string | undefined;
  /** Id of a provider that serves them. */
  provider?: string | undefined;
}

export function modelsSearch(raw: Record<string, unknown>): ModelsSearch {
  return { q: textParam(raw, "q"), capability: textParam(raw, "capability"), provider: textParam(raw, "provider") };
}
