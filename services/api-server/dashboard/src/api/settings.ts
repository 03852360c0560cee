/** What the server tells about settings: their form, and what waits for a restart. */

import { queryOptions } from "@tanstack/react-query";
import { api, data, send } from "./client";
import { asProblem, Problem } from "./problem";
import { ifMatch, versioned } from "./versions";

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

/** A setting as it was seen. */
export interface SeenSetting {
  /** The value that applies; `undefined` if there is none. */
  value: unknown;
  /** Its version; `null` if only the value was seen, as in a list. */
  etag: string | null;
}

export interface WrittenSetting {
  requiresRestart: boolean;
}

/** The version of a setting that is not stored. */
const UNSTORED = '"0"';

/** Returns a setting as it is now. */
export async function readSetting(key: string): Promise<SeenSetting> {
  try {
    const { value, etag } = await versioned<{ value: unknown }>(
      api.GET("/api/settings/{key}", { params: { path: { key } } }),
    );
    return { value, etag };
  } catch (error) {
    // It has neither a value nor a default.
    if (asProblem(error).isNotFound) return { value: undefined, etag: UNSTORED };
    throw error;
  }
}

/** Writes a setting over the one that was seen; `undefined` resets it. Fails with a conflict if it is another one now. */
export async function writeSetting(key: string, value: unknown, over: SeenSetting): Promise<WrittenSetting> {
  const now = over.etag === null ? await readSetting(key) : over;
  if (JSON.stringify(now.value) !== JSON.stringify(over.value))
    throw new Problem("It was changed elsewhere meanwhile.", { status: 412 });
  const [params, headers] = [{ path: { key } }, ifMatch(now.etag)];
  return value === undefined
    ? await data(api.DELETE("/api/settings/{key}", { params, headers }))
    : await data(api.PUT("/api/settings/{key}", { params, headers, body: { value: value as string } }));
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
