import { textParam, wordParam } from "../../app/search";

export const LOGS = ["combined", "api-server", "provider-router", "qwen-proxy"] as const;
export const LEVELS = ["error", "warn", "info", "debug", "trace"] as const;

export interface LogsSearch {
  log?: (typeof LOGS)[number] | undefined;
  /** Least important level that is shown. */
  level?: (typeof LEVELS)[number] | undefined;
  /** Text that the shown lines have. */
  q?: string | undefined;
}

export function logsSearch(raw: Record<string, unknown>): LogsSearch {
  return { log: wordParam(raw, "log", LOGS), level: wordParam(raw, "level", LEVELS), q: textParam(raw, "q") };
}
