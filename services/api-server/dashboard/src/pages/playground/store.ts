/**
 * The playground of this tab. It is outside the page: answers go on while another page is shown, and a reload brings
 * the texts back.
 */

import { create } from "zustand";
import { type Answer, isOver, waiting } from "./answer";
import { askModel } from "./ask";
import { bodyFor, type Question, type Settings, type Side, shownAnswer, type Turn } from "./chat";
import { takeHandover } from "./handover";
import { Pool } from "./pool";
import { EMPTY, NO_QUESTION, type Playground, restored, storedText } from "./stored";

interface State extends Playground {
  /** The conversation before it was cleared or replaced, until the page is loaded again. */
  earlier: Playground | null;
  /** What the last handover could not bring, and whether there was one. */
  handover: { left: string[] } | null;
}

const KEY = "signalbox.playground";
/** Milliseconds between two drawings of an answer that arrives. */
const FRAME = 50;
/** Milliseconds between a change and its storing. */
const STORE_AFTER = 400;
/** Requests that run at once: browsers have six connections to a server, and the page needs one. */
const AT_ONCE = 5;

function readStored(): string | null {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    // Storage may be forbidden.
    return null;
  }
}

export const usePlayground = create<State>(() => ({ ...restored(readStored()), earlier: null, handover: null }));

const get = usePlayground.getState;
const set = usePlayground.setState;

/** Ids are not used again: a request of a cleared conversation may still report its end. */
let lastId = get().turns.at(-1)?.id ?? 0;

const pool = new Pool(AT_ONCE);
/** What stops the requests of a turn to one model. */
const stops = new Map<string, AbortController>();
const stopName = (turn: number, side: Side) => `${turn} ${side}`;

/** Answers that have grown since the last drawing. */
let grown = new Map<string, { turn: number; side: Side; run: number; answer: Answer }>();
let frame: ReturnType<typeof setTimeout> | undefined;

function draw(): void {
  clearTimeout(frame);
  frame = undefined;
  const news = [...grown.values()];
  grown = new Map();
  const turns = get().turns.map((turn) => {
    const own = news.filter((one) => one.turn === turn.id);
    if (own.length === 0) return turn;
    const answers = { ...turn.answers };
    for (const { side, run, answer } of own) {
      answers[side] = answers[side]?.map((old, at) => (at === run ? answer : old)) ?? [];
    }
    return { ...turn, answers };
  });
  set({ turns });
}

function report(turn: number, side: Side, run: number, answer: Answer): void {
  grown.set(`${turn} ${side} ${run}`, { turn, side, run, answer });
  if (isOver(answer)) draw();
  else frame ??= setTimeout(draw, FRAME);
}

/** Whether a model is still answering one of the last questions to it. */
export function isBusy(turns: readonly Turn[], side: Side): boolean {
  return turns.some((turn) => turn.answers[side]?.some((answer) => !isOver(answer)));
}

/** Sends the inputs of these sides as a new turn. Both are the same unless the models have inputs of their own. */
export function send(sides: readonly Side[], models: Partial<Record<Side, string>>, settings: Settings): void {
  const { turns, input, apart, times } = get();
  lastId += 1;
  const id = lastId;
  const turn: Turn = { id, asked: {}, answers: {}, shown: {}, settings };
  for (const side of sides) {
    const { text, images } = input[apart ? side : "a"];
    turn.asked[side] = { text, images };
  }
  const rest = { ...input };
  for (const side of apart ? sides : (["a"] as const)) rest[side] = NO_QUESTION;
  set({ turns: [...turns, turn], input: rest });
  for (const side of sides) ask(id, side, models[side] ?? "", times);
}

/** Asks the question of a turn once more, instead of the answers to it. */
export function sendAgain(id: number, side: Side): void {
  const turn = get().turns.find((one) => one.id === id);
  const model = turn && shownAnswer(turn, side)?.model;
  if (model !== undefined) ask(id, side, model, 1);
}

function ask(id: number, side: Side, model: string, times: number): void {
  const { turns, before } = get();
  const at = turns.findIndex((turn) => turn.id === id);
  const body = bodyFor(model, before, turns.slice(0, at + 1), side);
  const queued = Array.from({ length: times }, () => waiting(model, Date.now(), "queued"));
  set({
    turns: turns.map((turn) =>
      turn.id === id
        ? { ...turn, answers: { ...turn.answers, [side]: queued }, shown: { ...turn.shown, [side]: 0 } }
        : turn,
    ),
  });
  const stop = new AbortController();
  stops.set(stopName(id, side), stop);
  const runs = queued.map((_, run) =>
    pool.run(stop.signal, () => askModel(body, stop.signal, (answer) => report(id, side, run, answer))),
  );
  void Promise.all(runs).then(() => {
    if (stops.get(stopName(id, side)) === stop) stops.delete(stopName(id, side));
  });
}

/** Cancels the requests of a turn to one model, at the provider too. */
export function stop(id: number, side: Side): void {
  stops.get(stopName(id, side))?.abort();
}

/** Takes the last question back into the input, without the answers to it. */
export function takeBack(id: number): void {
  const { turns, input, apart } = get();
  const turn = turns.find((one) => one.id === id);
  if (!turn) return;
  for (const side of Object.keys(turn.asked) as Side[]) stop(id, side);
  const { a, b } = turn.asked;
  const back = apart ? { a: a ?? input.a, b: b ?? input.b } : { ...input, a: a ?? b ?? input.a };
  set({ turns: turns.filter((one) => one.id !== id), input: back });
}

/** Changes the question to one model, or to both while they share it. */
export function setInput(side: Side, change: (old: Question) => Question): void {
  set(({ input }) => ({ input: { ...input, [side]: change(input[side]) } }));
}

export function showRun(id: number, side: Side, run: number): void {
  set(({ turns }) => ({
    turns: turns.map((turn) => (turn.id === id ? { ...turn, shown: { ...turn.shown, [side]: run } } : turn)),
  }));
}

/** Returns what can be brought back after a change that replaces the conversation. */
function conversation(): Playground | null {
  const { earlier: _, handover: __, ...playground } = get();
  const isEmpty = playground.turns.length === 0 && playground.before.length === 0;
  return isEmpty ? null : playground;
}

function stopAll(): void {
  for (const one of stops.values()) one.abort();
  // Each answer has ended now, and its end is part of what can be brought back.
  if (frame !== undefined) draw();
}

/** Empties the conversation. Models, parameters and what is being written stay. */
export function clear(): void {
  stopAll();
  const earlier = conversation();
  set({ turns: [], before: [], forgotten: 0, handover: null, earlier });
}

/** Brings the conversation back that was there before the last one. */
export function bringBack(): void {
  const { earlier } = get();
  if (earlier === null) return;
  stopAll();
  set({ ...earlier, turns: earlier.turns.map(ended), earlier: null, handover: null });
}

/** Returns a turn whose answers no longer arrive. */
function ended(turn: Turn): Turn {
  const answers = { ...turn.answers };
  for (const side of Object.keys(answers) as Side[]) {
    answers[side] = answers[side]?.map((answer) =>
      isOver(answer) ? answer : { ...answer, state: "stopped", endedAt: answer.endedAt ?? Date.now() },
    );
  }
  return { ...turn, answers };
}

/** Begins the conversation that another page hands over, if there is one. */
export function receiveHandover(): void {
  const found = takeHandover(() => sessionStorage);
  if (found === null) return;
  stopAll();
  const { model, parameters, before, input, left } = found;
  const earlier = conversation();
  set({
    ...EMPTY,
    models: model === undefined ? {} : { a: model },
    parameters,
    before,
    input: { ...EMPTY.input, a: input },
    earlier,
    handover: { left },
  });
}

let storing: ReturnType<typeof setTimeout> | undefined;

function store(): void {
  clearTimeout(storing);
  storing = undefined;
  const { earlier: _, handover: __, ...playground } = get();
  try {
    const text = storedText(playground);
    if (text === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, text);
  } catch {
    // Kept until the page is closed.
  }
}

usePlayground.subscribe(() => {
  storing ??= setTimeout(store, STORE_AFTER);
});
globalThis.addEventListener?.("pagehide", store);
