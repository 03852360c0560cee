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

/** Returns what a change is about: its kind, the thing itself, and what was done. */
export function changeWords({ resource, resource_id: id, action }: AuditEntry): [string, string, string] {
  return resource === "request" ? [action, id, ""] : [RESOURCES[resource] ?? resource, id, action];
}
