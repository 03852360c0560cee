/** What the log of changes is about, in words. */

import type { AuditEntry } from "../../api/audit";
import type { Tone } from "../../parts/mark";

/** Kinds of things that are changed. A request is one that changed none of the others, such as a command to a service. */
export const RESOURCES: Record<string, string> = {
  provider: "provider",
  provider_config: "provider config",
  model: "model",
  provider_model: "provider model",
  route: "route",
  key: "client key",
  prices: "prices",
  setting: "setting",
  credential: "login",
  request: "request",
};

/** The actions; a request has its method. */
export const ACTIONS: Record<string, string> = {
  created: "created",
  updated: "updated",
  deleted: "deleted",
  POST: "POST, of a request",
  PUT: "PUT, of a request",
  PATCH: "PATCH, of a request",
  DELETE: "DELETE, of a request",
};

export const OUTCOMES: Record<string, Tone> = { done: "ok", refused: "warn", failed: "bad" };

/** Returns what a change is about: its kind, the thing by its name, and what was done. */
export function changeWords(entry: AuditEntry): [kind: string, name: string, action: string] {
  const { resource, action } = entry;
  return resource === "request"
    ? [action, entry.resource_id, ""]
    : [RESOURCES[resource] ?? resource, nameOf(entry), action];
}

/** Fields with the names of things whose ids say nothing. */
const NAMES: Record<string, string> = { route: "model", key: "name" };

function nameOf({ resource, resource_id: id, before, after }: AuditEntry): string {
  const field = NAMES[resource];
  const state = (after ?? before) as Record<string, unknown> | null | undefined;
  const name = field === undefined ? undefined : state?.[field];
  return typeof name === "string" && name !== "" ? name : id;
}
