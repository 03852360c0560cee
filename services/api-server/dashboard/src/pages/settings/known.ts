/** The settings that Signalbox knows, with words for them. Others are shown by their keys. */

export interface KnownSetting {
  key: string;
  label: string;
  hint: string;
  kind: "port" | "number" | "switch" | "text" | "provider" | { choices: string[] };
  /** Whether it is in force only after a restart of the router. */
  restart?: boolean;
}

export const KNOWN: KnownSetting[] = [
  {
    key: "active_provider",
    label: "Active provider",
    hint: "Answers requests for models that no provider serves by name.",
    kind: "provider",
  },
  {
    key: "server.port",
    label: "Port of the router",
    hint: "Where clients reach the models.",
    kind: "port",
    restart: true,
  },
  {
    key: "server.host",
    label: "Address of the router",
    hint: "127.0.0.1 for this machine only. For others, client keys have to be configured.",
    kind: "text",
    restart: true,
  },
  {
    key: "server.timeout",
    label: "Timeout in milliseconds",
    hint: "Longest pause of a provider, unless it has its own.",
    kind: "number",
  },
  {
    key: "logging.level",
    label: "Log level",
    hint: "Least important lines of the logs.",
    kind: { choices: ["error", "warn", "info", "debug"] },
  },
  {
    key: "logging.logRequests",
    label: "Log questions",
    hint: "Keep the bodies of requests in the log.",
    kind: "switch",
  },
  { key: "logging.logResponses", label: "Log answers", hint: "Keep the bodies of answers in the log.", kind: "switch" },
];

/** Settings of the Node.js version that have no effect. */
const WITHOUT_EFFECT = new Set([
  "system.autoStart",
  "system.minimizeToTray",
  "system.checkUpdates",
  "database.path",
  "active_model",
]);

/** Returns the keys that are neither known nor without effect. */
export function otherKeys(settings: Record<string, unknown>): string[] {
  return Object.keys(settings)
    .filter((key) => !WITHOUT_EFFECT.has(key) && !KNOWN.some((known) => known.key === key))
    .sort();
}

/** Returns the value to send for an entered text. The server checks it. */
export function sentValue(kind: KnownSetting["kind"], text: string): unknown {
  const trimmed = text.trim();
  if (kind === "switch") return trimmed === "true";
  if (kind !== "port" && kind !== "number") return trimmed;
  return /^-?\d+$/.test(trimmed) ? Number(trimmed) : trimmed;
}

/** Returns why the router has to be restarted, or `null`: it listens on another port than the settings say. */
export function pendingPort(
  settings: Record<string, unknown>,
  running: { state: string; port: number } | null,
): string | null {
  const set = settings["server.port"];
  if (running?.state !== "running" || typeof set !== "number" || set === running.port) return null;
  return `port ${running.port} → ${set}`;
}
