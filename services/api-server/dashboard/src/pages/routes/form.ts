/** The form of a route: what is typed, and the document that is sent. */

import type { RouteView } from "../../api/access-queries";

export const POLICIES = [
  ["priority", "priority: in the order below"],
  ["weighted", "weighted: at random, in proportion to the weights"],
  ["round-robin", "round-robin: in turn"],
  ["least-busy", "least-busy: the fewest requests in flight first"],
  ["latency", "latency: the fastest first token first"],
  ["cheapest", "cheapest: the lowest price first"],
] as const;

export const DEADLINES = [
  ["connect_ms", "Connect"],
  ["headers_ms", "Headers"],
  ["first_token_ms", "First token"],
  ["idle_ms", "Silence"],
  ["total_ms", "Total"],
] as const;

type DeadlineName = (typeof DEADLINES)[number][0];

export interface TargetDraft {
  /** Identity while targets are moved. */
  key: number;
  provider: string;
  model: string;
  weight: string;
  params: string;
  contextTokens: string;
  /** Fields that the form does not show; they are sent back as they are stored. */
  others: Record<string, unknown>;
}

export interface RouteDraft {
  model: string;
  enabled: boolean;
  /** One a line. */
  aliases: string;
  policy: string;
  targets: TargetDraft[];
  retries: string;
  deadlines: Record<DeadlineName, string>;
  resume: string;
  sticky: string;
  strict: boolean;
  resumable: boolean;
  /** Fields that the form does not show; they are sent back as they are stored. */
  others: Record<string, unknown>;
}

/** Fields that the server sets or `versioned` adds, and those that the form shows. */
const OWN = ["id", "etag", "problems", "created_at", "updated_at"];
const SHOWN = [
  "model",
  "enabled",
  "aliases",
  "policy",
  "targets",
  "retries",
  "deadlines",
  "resume",
  "sticky",
  "strict",
  "resumable",
];
const SHOWN_OF_TARGET = ["provider", "model", "weight", "params", "context_tokens"];

// Input of an earlier page has keys, too.
let lastKey = Date.now();

export function newTarget(given: Partial<Omit<TargetDraft, "key">> = {}): TargetDraft {
  lastKey += 1;
  return { provider: "", model: "", weight: "", params: "", contextTokens: "", others: {}, ...given, key: lastKey };
}

/** Returns the form of a new route. */
export function emptyDraft(): RouteDraft {
  return {
    model: "",
    enabled: true,
    aliases: "",
    policy: "priority",
    targets: [newTarget()],
    retries: "",
    deadlines: { connect_ms: "", headers_ms: "", first_token_ms: "", idle_ms: "", total_ms: "" },
    resume: "off",
    sticky: "",
    strict: false,
    resumable: false,
    others: {},
  };
}

/** Returns the form of a stored route. */
export function draftOf(route: RouteView): RouteDraft {
  const draft = emptyDraft();
  for (const [name] of DEADLINES) draft.deadlines[name] = text(route.deadlines?.[name]);
  return {
    ...draft,
    model: route.model,
    enabled: route.enabled,
    aliases: (route.aliases ?? []).join("\n"),
    policy: route.policy ?? "priority",
    targets: route.targets.map(({ provider, model, weight, params, context_tokens, ...others }) =>
      newTarget({
        others: without(others, SHOWN_OF_TARGET),
        provider,
        model,
        weight: text(weight),
        params: params && Object.keys(params).length > 0 ? JSON.stringify(params, null, 2) : "",
        contextTokens: text(context_tokens),
      }),
    ),
    retries: text(route.retries),
    resume: route.resume ?? "off",
    sticky: route.sticky ?? "",
    strict: route.strict ?? false,
    resumable: route.resumable ?? false,
    others: without(route, [...OWN, ...SHOWN]),
  };
}

/** Returns the form of a copy of a route: its names cannot be used twice. */
export function copyOf(route: RouteView): RouteDraft {
  return { ...draftOf(route), model: `${route.model}-copy`, aliases: "" };
}

/**
 * Returns the document to send, and the mistakes that keep it from being sent. Whatever can be sent is left to the
 * server to judge, including numbers that are none.
 */
export function bodyOf(draft: RouteDraft): { body: Record<string, unknown>; mistakes: string[] } {
  const mistakes: string[] = [];
  const targets = draft.targets.map((target, at) => {
    const params = paramsOf(target.params);
    if ("mistake" in params) mistakes.push(`targets[${at}].params ${params.mistake}`);
    return {
      ...target.others,
      provider: target.provider || undefined,
      model: target.model.trim() || undefined,
      weight: number(target.weight),
      params: "value" in params ? params.value : undefined,
      context_tokens: number(target.contextTokens),
    };
  });
  const deadlines = Object.fromEntries(
    DEADLINES.map(([name]) => [name, number(draft.deadlines[name])] as const).filter(([, ms]) => ms !== undefined),
  );
  return {
    body: {
      ...draft.others,
      model: draft.model.trim(),
      enabled: draft.enabled,
      aliases: lines(draft.aliases),
      policy: draft.policy,
      targets,
      retries: number(draft.retries),
      deadlines,
      resume: draft.resume,
      sticky: draft.sticky || undefined,
      strict: draft.strict,
      resumable: draft.resumable,
    },
    mistakes,
  };
}

/** Returns whether two forms would send the same document. */
export function isSame(a: RouteDraft, b: RouteDraft): boolean {
  const sent = (draft: RouteDraft) =>
    JSON.stringify({ ...draft, targets: draft.targets.map((one) => ({ ...one, key: 0 })) });
  return sent(a) === sent(b);
}

/** Returns the list with one entry moved by `by` places. It stays as it is at the ends. */
export function moved<T>(list: readonly T[], at: number, by: number): T[] {
  const to = at + by;
  const copy = [...list];
  if (at < 0 || at >= list.length || to < 0 || to >= list.length) return copy;
  copy.splice(to, 0, ...copy.splice(at, 1));
  return copy;
}

/** Returns all paths at which the form shows mistakes. */
export function pathsOf(draft: RouteDraft): string[] {
  return [
    "model",
    "aliases",
    "policy",
    "retries",
    "resume",
    "sticky",
    ...DEADLINES.map(([name]) => `deadlines.${name}`),
    ...draft.targets.flatMap((_, at) =>
      ["provider", "model", "weight", "params", "context_tokens"].map((name) => `targets[${at}].${name}`),
    ),
  ];
}

/** Returns the problems of a route by the number of their target. */
export function problemsByTarget(problems: readonly string[]): Map<number, string> {
  const sorted = new Map<number, string>();
  for (const problem of problems) {
    const [, at, what] = problem.match(/^targets\[(\d+)\]: (.*)$/s) ?? [];
    if (at !== undefined && what !== undefined) sorted.set(Number(at), what);
  }
  return sorted;
}

/** Returns the share of the requests that each target of a weighted route gets first, in per cent. */
export function shares(weights: readonly string[]): (number | null)[] {
  const parsed = weights.map((weight) => (weight.trim() === "" ? 1 : Number(weight)));
  const sum = parsed.reduce((total, weight) => total + weight, 0);
  return parsed.map((weight) => (Number.isFinite(sum) && sum > 0 && weight >= 0 ? (100 * weight) / sum : null));
}

/** Returns the fields of an object that are not among the named ones. */
function without(fields: object, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));
}

function paramsOf(typed: string): { value?: Record<string, unknown> | undefined } | { mistake: string } {
  if (typed.trim() === "") return { value: undefined };
  try {
    const value: unknown = JSON.parse(typed);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { value: value as never };
    return { mistake: 'must be a JSON object, such as {"temperature": 0.2}' };
  } catch (error) {
    return { mistake: `must be JSON: ${error instanceof Error ? error.message : "it cannot be read"}` };
  }
}

function lines(typed: string): string[] {
  return typed
    .split(/[\n,]/)
    .map((line) => line.trim())
    .filter((line) => line !== "");
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
