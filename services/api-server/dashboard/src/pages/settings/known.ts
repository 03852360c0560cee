/** The settings that Signalbox knows, with words for them. Others are shown by their keys. */

import type { SettingSchema } from "../../api/settings";

export interface KnownSetting {
  key: string;
  label: string;
  hint: string;
  kind: "port" | "number" | "switch" | "text" | "json" | "provider" | { choices: string[] };
  /** Whether it is in force only after a restart of the router. */
  restart?: boolean;
  /** Value while none is stored; `undefined` if it is not known. */
  byDefault?: unknown;
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

/** Words for settings that only a schema describes. */
const LABELS: Record<string, string> = {
  "server.answer_headers": "Headers of the router in answers",
  "budget.amount_usd": "Budget in dollars",
  "budget.period": "Budget for",
  "budget.owners": "Budgets of owners",
  "budget.unpriced": "Requests without a price",
};

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

/** Names of the groups of settings, in their order. */
const CATEGORIES: Record<string, string> = {
  active_provider: "Routing",
  server: "Router",
  budget: "Budgets",
  logging: "Logs",
};

/** A group of settings. */
export interface Category {
  name: string;
  settings: KnownSetting[];
}

/** Returns the settings of a schema by category, without those that have no effect. */
export function categoriesOf(schema: readonly SettingSchema[]): Category[] {
  const groups = new Map<string, KnownSetting[]>(Object.values(CATEGORIES).map((name) => [name, []]));
  for (const setting of schema) {
    if (setting.deprecated === true || WITHOUT_EFFECT.has(setting.key)) continue;
    const name = CATEGORIES[setting.category] ?? CATEGORIES[setting.key] ?? "Others";
    groups.set(name, [...(groups.get(name) ?? []), settingOf(setting)]);
  }
  return [...groups].filter(([, settings]) => settings.length > 0).map(([name, settings]) => ({ name, settings }));
}

function settingOf(schema: SettingSchema): KnownSetting {
  const known = KNOWN.find(({ key }) => key === schema.key);
  return {
    key: schema.key,
    label: known?.label ?? LABELS[schema.key] ?? schema.key,
    hint: `${schema.description}${limitsOf(schema)}`,
    kind: kindOf(schema),
    restart: schema.requiresRestart,
    byDefault: schema.default,
  };
}

const KINDS: Record<string, KnownSetting["kind"]> = {
  boolean: "switch",
  integer: "number",
  number: "number",
  object: "json",
};

function kindOf({ key, type, enum: choices }: SettingSchema): KnownSetting["kind"] {
  if (key === "active_provider") return "provider";
  if (choices && choices.length > 0) return { choices: [...choices] };
  return KINDS[type] ?? "text";
}

/** Returns a setting that nothing describes. Its kind is that of its value, so that saving keeps the type. */
export function unknownSetting(key: string, value: unknown): KnownSetting {
  const kinds: Record<string, KnownSetting["kind"]> = { number: "number", boolean: "switch", object: "json" };
  return { key, label: key, hint: "", kind: (value !== null && kinds[typeof value]) || "text" };
}

const UNITS: Record<string, string> = { ms: " milliseconds", usd: " dollars" };

function limitsOf({ minimum, maximum, unit = "" }: SettingSchema): string {
  const [least, most] = [minimum?.toLocaleString("en-GB"), maximum?.toLocaleString("en-GB")];
  const words = UNITS[unit] ?? "";
  if (least !== undefined && most !== undefined) return ` From ${least} to ${most}${words}.`;
  if (least !== undefined) return ` At least ${least}${words}.`;
  if (most !== undefined) return ` At most ${most}${words}.`;
  return words === "" ? "" : ` In${words}.`;
}

/** Returns a stored value as the text of its input. */
export function shownValue(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "object" ? JSON.stringify(value, null, 2) : String(value);
}

/** Returns whether a value is not the one that applies anyway; `null` if that is not known. */
export function isChanged({ byDefault }: KnownSetting, value: unknown): boolean | null {
  if (byDefault === undefined) return null;
  return JSON.stringify(value ?? null) !== JSON.stringify(byDefault);
}

/** Returns the value to send for an entered text. The server checks it. */
export function sentValue(kind: KnownSetting["kind"], text: string): unknown {
  const trimmed = text.trim();
  if (kind === "json") {
    try {
      return JSON.parse(trimmed);
    } catch {
      // The server says what it has to be.
      return trimmed;
    }
  }
  if (kind === "number" && /^-?\d+\.\d+$/.test(trimmed)) return Number(trimmed);
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
