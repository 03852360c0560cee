import { textParam } from "../../app/search";

export interface ConnectSearch {
  client?: string | undefined;
  model?: string | undefined;
}

export function connectSearch(raw: Record<string, unknown>): ConnectSearch {
  return { client: textParam(raw, "client"), model: textParam(raw, "model") };
}
