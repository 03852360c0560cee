/** The state of both services in this browser. */

import { create } from "zustand";
import { INITIAL, type Input, reduce, type ServiceState, type ServiceStatus } from "./reducer";

export const SERVICES = ["provider-router", "qwen-proxy"] as const;
export type Service = (typeof SERVICES)[number];

interface Services {
  "provider-router": ServiceState;
  "qwen-proxy": ServiceState;
}

export const useServices = create<Services>(() => ({ "provider-router": INITIAL, "qwen-proxy": INITIAL }));

/** Feeds one input to a service. */
export function send(service: Service, input: Input): void {
  useServices.setState((state) => {
    const next = reduce(state[service], input);
    return next === state[service] ? state : { ...state, [service]: next };
  });
}

/** Feeds the status of both services, as `GET /api/proxy/status` and the events send it. */
export function sendStatus(status: { providerRouter?: unknown; qwenProxy?: unknown }, now: number = Date.now()): void {
  const pairs = [
    ["provider-router", status.providerRouter],
    ["qwen-proxy", status.qwenProxy],
  ] as const;
  for (const [service, value] of pairs) {
    if (isStatus(value)) send(service, { type: "status", status: value, now });
  }
}

function isStatus(value: unknown): value is ServiceStatus {
  return typeof value === "object" && value !== null && "seq" in value && "state" in value;
}
