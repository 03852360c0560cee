/** The form of a client key, and how keys are described. */

import type { KeyView } from "../../api/access-queries";
import { KEY } from "../../api/forms";
import { count, dollars } from "../../format/numbers";
import { remaining } from "../../format/time";
import { documentOf, type Entry, entryOf, type Sendable, textAt, withoutSection, withText } from "../../forms/entry";
import { pathsIn } from "../../forms/schema";
import type { Tone } from "../../parts/mark";

/** The server sets these; `etag` is the version that was read. */
const OWN = ["id", "hint", "key", "revoked_at", "previous_expires_at", "created_at", "updated_at", "etag"];

/** Paths at which the form shows mistakes. */
export const PATHS = pathsIn(KEY);

export function emptyDraft(): Entry {
  return entryOf({});
}

export function draftOf(key: KeyView): Entry {
  return entryOf(key, OWN);
}

/**
 * Returns the document to send. An expiry that was not touched is sent as it is stored, with its seconds, because the
 * server accepts one in the past only if it does not change.
 */
export function bodyOf(draft: Entry): Sendable {
  return documentOf(KEY, withPeriod(draft));
}

/** The period that the form shows for a budget that has none yet. */
export const PERIOD = "month";

/** Returns the draft with the period that is shown for a new amount, and without the period of a removed one. */
function withPeriod(draft: Entry): Entry {
  const [amount, period] = ["budget.amount_usd", "budget.period"] as const;
  if (textAt(KEY, draft, amount).trim() === "") return period in draft.texts ? draft : withoutSection(draft, "budget");
  return textAt(KEY, draft, period) === "" ? withText(KEY, draft, period, PERIOD) : draft;
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
  const { rpm, tpm, concurrency, queue } = limits ?? {};
  const parts: string[] = [];
  if (rpm != null) parts.push(`${count(rpm)} requests/min`);
  if (tpm != null) parts.push(`${count(tpm)} tokens/min`);
  if (concurrency != null) parts.push(`${count(concurrency)} at once`);
  if (queue != null) parts.push(`${count(queue.max_waiting)} may wait`);
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
