import { textParam } from "../../app/search";

export interface NewProviderSearch {
  type?: string | undefined;
}

export function newProviderSearch(raw: Record<string, unknown>): NewProviderSearch {
  return { type: textParam(raw, "type") };
}
