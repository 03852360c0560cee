/** Which of the first steps have succeeded. Pure. */

import type { Answered } from "../../api/overview";

interface Provider {
  id: string;
  name: string;
  type: string;
  enabled: boolean;
}

/** Types with which nothing of the world outside is reached. */
const ECHO = "echo";
const QWEN = "qwen-proxy";

/** Returns the providers that were set up: echo needs no setup, and qwen-proxy needs a login. */
export function chosenOf<T extends Provider>(providers: readonly T[], hasLogin: boolean): T[] {
  return providers.filter(({ enabled, type }) => enabled && type !== ECHO && (type !== QWEN || hasLogin));
}

export interface Done {
  router: boolean;
  provider: boolean;
  message: boolean;
  client: boolean;
}

export interface Known {
  running: boolean;
  chosen: readonly Provider[];
  /** Models of the chosen providers, by provider: where they were fetched, it has answered. */
  models: ReadonlyMap<string, readonly string[]>;
  answered: Answered;
}

/** Returns what has succeeded: being there is not enough. */
export function doneOf({ running, chosen, models, answered }: Known): Done {
  const works = ({ id, type }: Provider) =>
    type === QWEN || answered.providers.includes(id) || (models.get(id)?.length ?? 0) > 0;
  return {
    router: running,
    provider: chosen.some(works),
    message: answered.providers.length > 0 || answered.client,
    client: answered.client,
  };
}

/** Returns the model to try first: the default of a chosen provider, or another one of it. */
export function triedModel({ chosen, models }: Pick<Known, "chosen" | "models">): string | undefined {
  return chosen.flatMap(({ id }) => models.get(id) ?? [])[0];
}

/** Model servers on this machine that are offered first. */
const LOCAL = ["ollama", "lm-studio", "vllm", "llama-cpp"];

interface Type {
  value: string;
  label: string;
  configSchema: Record<string, { default?: unknown }>;
}

export interface LocalServer {
  type: string;
  label: string;
  /** Where it listens unless it was configured otherwise, such as `127.0.0.1:11434`. */
  address: string;
}

/** Returns the model servers on this machine that the server knows, with their usual addresses. */
export function localServers(types: readonly Type[]): LocalServer[] {
  return LOCAL.flatMap((value) => {
    const type = types.find((one) => one.value === value);
    const usual = type?.configSchema.baseURL?.default;
    if (!type || typeof usual !== "string") return [];
    return { type: value, label: type.label, address: usual.replace(/^https?:\/\//, "").replace(/\/.*$/, "") };
  });
}
