/** Sends a replay, and reads its answer as it arrives. */

import { problemIn } from "../../../api/client";
import { asProblem, Problem } from "../../../api/problem";
import { expectLogged, LOGGED_ID, type Outcome, type ReplayCommand, sendReplay } from "../../../api/request";
import { EventReader } from "../../playground/sse";
import { errorIn, type LiveAnswer, NOTHING, wholeAnswer, withEvent } from "./live-answer";

export interface Run {
  state: "waiting" | "answering" | "done" | "stopped" | "failed";
  answer: LiveAnswer;
  /** Id in the log. */
  logId: string | null;
  /** Of several replays. */
  outcomes: Outcome[] | null;
  startedAt: number;
  endedAt: number | null;
  problem: Problem | null;
}

type Report = (run: Run) => void;

/** Sends a replay, and reports whenever there is more of the answer. Never rejects: a failure is part of the run. */
export async function runReplay(
  id: string,
  command: ReplayCommand,
  signal: AbortSignal,
  report: Report,
  now: () => number = Date.now,
): Promise<Run> {
  let run: Run = {
    state: "waiting",
    answer: NOTHING,
    logId: null,
    outcomes: null,
    startedAt: now(),
    endedAt: null,
    problem: null,
  };
  const change = (change: Partial<Run>) => {
    run = { ...run, ...change };
    report(run);
    return run;
  };
  report(run);
  try {
    const response = await sendReplay(id, command, signal);
    const logId = response.headers.get(LOGGED_ID);
    if (logId !== null) expectLogged(logId);
    change({ logId });
    if (!response.ok) throw await problemIn(response);
    if ((command.times ?? 1) > 1) {
      const { replays } = (await response.json()) as { replays: Outcome[] };
      for (const { request_id } of replays) if (request_id !== null) expectLogged(request_id);
      return change({ state: "done", outcomes: replays, endedAt: now() });
    }
    for await (const event of eventsOf(response)) {
      const error = errorIn(event.value);
      if (error !== null) throw new Problem(error, { status: response.status });
      const answer = event.isWhole ? wholeAnswer(event.value) : withEvent(run.answer, event.value);
      change({ state: "answering", answer });
    }
    return change({ state: "done", endedAt: now() });
  } catch (error) {
    if (signal.aborted) return change({ state: "stopped", endedAt: now() });
    return change({ state: "failed", problem: lost(error, run), endedAt: now() });
  }
}

/** A connection that breaks while an answer arrives is no reason to say that the server does not answer. */
function lost(error: unknown, { state }: Run): Problem {
  if (state === "answering" && error instanceof TypeError)
    return new Problem("The connection was lost. What arrived until then is below.", { status: null });
  return asProblem(error);
}

interface Event {
  value: unknown;
  isWhole: boolean;
}

async function* eventsOf(response: Response): AsyncGenerator<Event> {
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
    yield { value: parsed(await response.text()), isWhole: true };
    return;
  }
  if (!response.body) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  const events = new EventReader();
  for (;;) {
    const { done, value } = await reader.read();
    const complete = done ? events.end() : events.push(decoder.decode(value, { stream: true }));
    for (const data of complete) if (data !== "[DONE]") yield { value: parsed(data), isWhole: false };
    if (done) return;
  }
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}
