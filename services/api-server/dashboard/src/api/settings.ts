/** What the server tells about settings: their form, and what waits for a restart. */

import { queryOptions } from "@tanstack/react-query";
import { send } from "./client";
import { asProblem } from "./problem";

export interface SettingSchema {
  key: string;
  /** The part of the key before the first dot. */
  category: string;
  type: "integer" | "number" | "boolean" | "string" | "object";
  minimum?: number;
  maximum?: number;
  enum?: string[];
  unit?: string;
  /** The value that applies while none is stored; `null` if there is none. */
  default: unknown;
  description: string;
  requiresRestart: boolean;
  deprecated?: boolean;
}

export interface PendingSetting {
  key: string;
  /** The value after the restart, and the one in effect. */
  value: unknown;
  running: unknown;
  /** The service that has to be restarted. */
  service: string;
}

/** Returns what an address answers; `null` for a server that does not know it. */
async function known<T>(path: string, signal: AbortSignal): Promise<T | null> {
  try {
    return (await (await send(path, { signal })).json()) as T;
  } catch (error) {
    if (asProblem(error).isNotFound) return null;
    throw error;
  }
}

export const settingsSchemaQuery = queryOptions({
  queryKey: ["settings", "schema"],
  queryFn: async ({ signal }) =>
    (await known<{ settings: SettingSchema[] }>("/api/settings/schema", signal))?.settings ?? null,
});

/** What waits, of a router of this generation: after a restart it is asked for again. */
export const pendingSettingsQuery = (generation: number | null) =>
  queryOptions({
    queryKey: ["settings", "pending", generation],
    queryFn: async ({ signal }) =>
      (await known<{ pending: PendingSetting[] }>("/api/settings/pending", signal))?.pending ?? null,
  });
