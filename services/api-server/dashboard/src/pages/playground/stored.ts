/** What the tab keeps of the playground over a reload of the page: texts, and neither images nor keys. Pure. */

import { Problem } from "../../api/problem";
import { type Answer, isOver, waiting } from "./answer";
import { type Question, SIDES, type Side, type Turn } from "./chat";
import { NO_PARAMETERS, type Parameters } from "./parameters";

/** Maximum characters that are kept; browsers give a page 5 MiB of UTF-16. The oldest turns are left out first. */
export const MAX_STORED = 1 << 20;

/** Numbers of requests that can be sent at once. */
export const TIMES = [1, 5, 20] as const;

/** The conversation and the input of the playground. */
export interface Playground {
  /** Names of the models; the second one is absent while only one is asked, the first one until it is chosen. */
  models: Partial<Record<Side, string>>;
  parameters: Parameters;
  /** Messages of a handover, which are sent ahead of the conversation. */
  before: unknown[];
  turns: Turn[];
  /** Turns that were left out when the page was loaded again. */
  forgotten: number;
  /** What is being written; `b` is in use while each model has an input of its own. */
  input: Record<Side, Question>;
  apart: boolean;
  times: (typeof TIMES)[number];
}

export const NO_QUESTION: Question = { text: "", images: [] };

export const EMPTY: Playground = {
  models: {},
  parameters: NO_PARAMETERS,
  before: [],
  turns: [],
  forgotten: 0,
  input: { a: NO_QUESTION, b: NO_QUESTION },
  apart: false,
  times: 1,
};

/** Matches what looks like a key of a provider, a client or this server. */
const KEY =
  /\b(?:(?:sk|sbx|pk|rk|gsk|hf|xai|ghp|glpat)[-_]|AIza)[A-Za-z0-9_-]{16,}|\bBearer\s+[A-Za-z0-9._~+/=-]{16,}/g;

/** Returns the text to store, or `null` if there is nothing to keep. */
export function storedText(state: Playground): string | null {
  let { forgotten } = state;
  const turns: unknown[] = [];
  const rest = { ...state, turns: [], before: withoutMedia(state.before), input: mapSides(state.input, withoutImages) };
  let room = MAX_STORED - JSON.stringify(rest).length;
  if (room < 0) return null;
  for (const turn of state.turns.toReversed()) {
    const kept = keptTurn(turn);
    room -= JSON.stringify(kept).length;
    if (room < 0) {
      forgotten = state.forgotten + state.turns.length - turns.length;
      break;
    }
    turns.unshift(kept);
  }
  return JSON.stringify({ ...rest, turns, forgotten }).replace(KEY, "[key]");
}

function keptTurn({ id, asked, answers, shown, settings }: Turn): unknown {
  const kept = mapSides(answers, (list) =>
    list.map(({ problem, ...answer }) => ({ ...answer, problem: problem?.message })),
  );
  return { id, shown, settings, asked: mapSides(asked, withoutImages), answers: kept };
}

function withoutImages({ text, images, lost = 0 }: Question): Question {
  const gone = lost + images.length;
  return { text, images: [], ...(gone > 0 && { lost: gone }) };
}

/** Returns messages without embedded files. */
function withoutMedia(messages: unknown[]): unknown[] {
  return JSON.parse(
    JSON.stringify(messages, (_, value) =>
      isJson(value) && value.type === "image_url" ? { type: "text", text: "(an image, dropped by a reload)" } : value,
    ),
  );
}

/** Returns what was stored. Whatever is not understood is left out, so that any text can be read. */
export function restored(text: string | null): Playground {
  let stored: unknown;
  try {
    stored = JSON.parse(text ?? "null");
  } catch {
    return EMPTY;
  }
  if (!isJson(stored)) return EMPTY;
  const models = record(stored.models);
  const input = record(stored.input);
  const parameters = record(stored.parameters);
  return {
    models: mapSides(models, (name) => (typeof name === "string" ? name : undefined)),
    parameters: Object.fromEntries(
      Object.keys(NO_PARAMETERS).map((name) => [name, string(parameters[name])]),
    ) as unknown as Parameters,
    before: list(stored.before).filter(isJson),
    turns: list(stored.turns).filter(isJson).map(turnOf),
    forgotten: typeof stored.forgotten === "number" ? stored.forgotten : 0,
    input: { a: questionOf(input.a), b: questionOf(input.b) },
    apart: stored.apart === true,
    times: TIMES.find((times) => times === stored.times) ?? 1,
  };
}

function turnOf(stored: Json, at: number): Turn {
  const settings = record(stored.settings);
  return {
    // Counted anew: what is stored may have the same one twice.
    id: at + 1,
    asked: mapSides(record(stored.asked), questionOf),
    answers: mapSides(record(stored.answers), (answers) => list(answers).filter(isJson).map(answerOf)),
    shown: mapSides(record(stored.shown), (at) => (typeof at === "number" ? at : 0)),
    settings: { system: string(settings.system), fields: record(settings.fields) },
  };
}

function questionOf(stored: unknown): Question {
  const { text, lost } = record(stored);
  return { text: string(text), images: [], ...(typeof lost === "number" && lost > 0 && { lost }) };
}

const STATES = ["queued", "waiting", "streaming", "done", "stopped", "failed"] as const;

function answerOf(stored: Json): Answer {
  const time = (value: unknown) => (typeof value === "number" && Number.isFinite(value) ? value : null);
  const startedAt = time(stored.startedAt) ?? 0;
  const tokens = isJson(stored.tokens)
    ? { input: time(stored.tokens.input), output: time(stored.tokens.output) }
    : null;
  const answer: Answer = {
    ...waiting(string(stored.model), startedAt, STATES.find((state) => state === stored.state) ?? "stopped"),
    text: string(stored.text),
    thinking: string(stored.thinking),
    calls: list(stored.calls)
      .filter(isJson)
      .map(({ name, input }) => ({ name: string(name), input: string(input) })),
    tokens,
    finish: typeof stored.finish === "string" ? stored.finish : null,
    firstAt: time(stored.firstAt),
    endedAt: time(stored.endedAt) ?? time(stored.firstAt) ?? startedAt,
    problem: typeof stored.problem === "string" ? new Problem(stored.problem, { status: null }) : null,
    logId: typeof stored.logId === "string" ? stored.logId : null,
  };
  if (isOver(answer)) return answer;
  const problem = new Problem("The page was loaded again while it arrived, which cancelled it.", { status: null });
  return { ...answer, state: "failed", problem };
}

type Json = Record<string, unknown>;
const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);
const record = (value: unknown): Json => (isJson(value) ? value : {});
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const string = (value: unknown): string => (typeof value === "string" ? value : "");

function mapSides<In, Out>(sides: Partial<Record<Side, In>>, of: (value: NonNullable<In>) => Out): Record<Side, Out>;
function mapSides<In, Out>(sides: Partial<Record<Side, In>>, of: (value: NonNullable<In>) => Out) {
  const mapped: Partial<Record<Side, Out>> = {};
  for (const side of SIDES) {
    const value = sides[side];
    if (value !== undefined && value !== null) mapped[side] = of(value);
  }
  return mapped;
}
