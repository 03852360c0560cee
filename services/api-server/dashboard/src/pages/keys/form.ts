/** The form of a client key, and how keys are described. */

import type { KeyView } from "../../api/access-queries";
import { count, dollars } from "../../format/numbers";
import { fromLocalInput, remaining, toLocalInput } from "../../format/time";
import type { Tone } from "../../parts/mark";

export const SURFACES = [
  "chat",
  "messages",
  "responses",
  "completions",
  "embeddings",
  "moderations",
  "rerank",
] as const;

export interface KeyDraft {
  name: string;
  owner: string;
  /** With commas or lines between them, as the other lists. */
  tags: string;
  models: string;
  addresses: string;
  /** None: all. */
  surfaces: string[];
  rpm: string;
  tpm: string;
  concurrency: string;
  amount: string;
  period: string;
  logBodies: string;
  strict: boolean;
  /** Value of an input of date and time. */
  expires: string;
}

/** Paths at which the form shows mistakes. */
export const PATHS = [
  "name",
  "owner",
  "tags",
  "models",
  "addresses",
  "surfaces",
  "limits.rpm",
  "limits.tpm",
  "limits.concurrency",
  "budget.amount_usd",
  "budget.period",
  "log_bodies",
  "expires_at",
];

export function emptyDraft(): KeyDraft {
  return {
    name: "",
    owner: "",
    tags: "",
    models: "",
    addresses: "",
    surfaces: [],
    rpm: "",
    tpm: "",
    concurrency: "",
    amount: "",
    period: "month",
    logBodies: "",
    strict: false,
    expires: "",
  };
}

export function draftOf(key: KeyView): KeyDraft {
  return {
    name: key.name,
    owner: key.owner ?? "",
    tags: (key.tags ?? []).join(", "),
    models: (key.models ?? []).join("\n"),
    addresses: (key.addresses ?? []).join("\n"),
    surfaces: key.surfaces ?? [],
    rpm: text(key.limits?.rpm),
    tpm: text(key.limits?.tpm),
    concurrency: text(key.limits?.concurrency),
    amount: text(key.budget?.amount_usd),
    period: key.budget?.period ?? "month",
    logBodies: key.log_bodies ?? "",
    strict: key.strict ?? false,
    expires: toLocalInput(key.expires_at ?? undefined),
  };
}

/**
 * Returns the document to send. An expiry that was not touched is sent as it is stored, with its seconds, because the
 * server accepts one in the past only if it does not change.
 */
export function bodyOf(draft: KeyDraft, stored?: KeyView): Record<string, unknown> {
  const untouched = stored !== undefined && draft.expires === toLocalInput(stored.expires_at ?? undefined);
  const expires = untouched ? (stored.expires_at ?? undefined) : fromLocalInput(draft.expires);
  return {
    ...others(stored),
    name: draft.name.trim(),
    owner: draft.owner.trim() || undefined,
    tags: list(draft.tags),
    models: some(list(draft.models)),
    addresses: some(list(draft.addresses)),
    surfaces: some(draft.surfaces),
    limits: { rpm: number(draft.rpm), tpm: number(draft.tpm), concurrency: number(draft.concurrency) },
    budget: draft.amount.trim() === "" ? undefined : { amount_usd: number(draft.amount), period: draft.period },
    log_bodies: draft.logBodies || undefined,
    strict: draft.strict,
    expires_at: expires,
  };
}

/** Fields of a key that the form shows, and those that the server sets. */
const KNOWN = [
  ...[
    "name",
    "owner",
    "tags",
    "models",
    "surfaces",
    "addresses",
    "limits",
    "budget",
    "log_bodies",
    "strict",
    "expires_at",
  ],
  ...["id", "etag", "hint", "key", "revoked_at", "previous_expires_at", "created_at", "updated_at"],
];

/** Returns the stored fields that the form does not show: they are sent back as they are. */
function others(stored: KeyView | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(stored ?? {}).filter(([name]) => !KNOWN.includes(name)));
}

/** Milliseconds before its expiry from which a key is shown as about to end. */
const SOON = 3 * 86_400_000;

/** Returns mark and words for the state of a key. */
export function stateOf(
  key: Pick<KeyView, "expires_at" | "revoked_at" | "previous_expires_at">,
  now: number,
): [Tone, string] {
  if (key.revoked_at != null) return ["bad", "revoked"];
  if (key.expires_at != null) {
    const left = remaining(key.expires_at, now);
    if (left === null) return ["bad", "expired"];
    if (key.expires_at - now < SOON) return ["warn", `valid for ${left}`];
  }
  const previous = key.previous_expires_at == null ? null : remaining(key.previous_expires_at, now);
  return previous === null ? ["ok", "valid"] : ["ok", `valid, the previous one for ${previous}`];
}

/** Returns the limits in short, such as `60 requests/min`. */
export function limitsOf(limits: KeyView["limits"]): string[] {
  const { rpm, tpm, concurrency } = limits ?? {};
  const parts: string[] = [];
  if (rpm != null) parts.push(`${count(rpm)} requests/min`);
  if (tpm != null) parts.push(`${count(tpm)} tokens/min`);
  if (concurrency != null) parts.push(`${count(concurrency)} at once`);
  return parts;
}

/** Returns the words of a budget, such as `$20.00 a month`. */
export function budgetOf(budget: { amount_usd: number; period: string }): string {
  return `${dollars(budget.amount_usd)} ${budget.period === "total" ? "in total" : `a ${budget.period}`}`;
}

/** Returns when the current period of a budget began; `undefined` for one without periods. Periods are in UTC. */
export function periodStart(period: string, now: number): number | undefined {
  const date = new Date(now);
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  switch (period) {
    case "day":
      return Date.UTC(year, month, day);
    case "week":
      return Date.UTC(year, month, day - ((date.getUTCDay() + 6) % 7));
    case "month":
      return Date.UTC(year, month, 1);
    default:
      return undefined;
  }
}

function list(typed: string): string[] {
  const parts = typed.split(/[\n,]/).map((one) => one.trim());
  return [...new Set(parts.filter((one) => one !== ""))];
}

function some<T>(values: T[]): T[] | undefined {
  return values.length > 0 ? values : undefined;
}

function number(typed: string): number | string | undefined {
  const trimmed = typed.trim();
  if (trimmed === "") return undefined;
  const value = Number(trimmed);
  return Number.isFinite(value) ? value : trimmed;
}

function text(value: number | null | undefined): string {
  return value == null ? "" : String(value);
}
