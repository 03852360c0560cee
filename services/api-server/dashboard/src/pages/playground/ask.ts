/** Sends a chat through the API server, which asks the router with its own credentials. */

import { asProblem, Problem, problemOf } from "../../api/problem";
import { expectLogged, LOGGED_ID } from "../../api/request";
import { address } from "../../app/base";
import { askToSignIn } from "../../app/session";
import { type Answer, errorIn, waiting, withChunk } from "./answer";
import { EventReader } from "./sse";

const RELAY = "/api/playground/chat/completions";
/** Maximum characters of an answer. */
export const MAX_ANSWER = 4 << 20;

/** Asks, and reports the answer whenever it has grown. Never rejects: a failure is part of the answer. */
export async function askModel(
  body: Record<string, unknown>,
  signal: AbortSignal,
  report: (answer: Answer) => void,
  now: () => number = Date.now,
): Promise<Answer> {
  let answer = waiting(String(body.model), now());
  const end = (change: Partial<Answer>) => {
    answer = { ...answer, ...change, endedAt: now() };
    report(answer);
    return answer;
  };
  report(answer);
  try {
    const response = await fetch(address(RELAY), {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify(body),
      signal,
    });
    const logId = response.headers.get(LOGGED_ID);
    if (logId !== null) expectLogged(logId);
    answer = { ...answer, logId };
    if (!response.ok) throw await refusal(response);
    for await (const data of eventsOf(response)) {
      if (data === "[DONE]") break;
      const chunk = parsed(data);
      const error = errorIn(chunk);
      if (error !== null) throw new Problem(error, { status: response.status });
      answer = withChunk(answer, chunk, now());
      if (answer.text.length + answer.thinking.length > MAX_ANSWER) {
        throw new Problem("The answer is longer than this page keeps, and was cancelled.", { status: null });
      }
      report(answer);
    }
    return end({ state: "done" });
  } catch (error) {
    if (signal.aborted) return end({ state: "stopped" });
    return end({ state: "failed", problem: lost(error, answer) });
  }
}

async function refusal(response: Response): Promise<Problem> {
  if (response.status === 401) askToSignIn();
  const body = await response.text();
  return problemOf(response.status, parsed(body) ?? body, response.headers.get("x-request-id") ?? undefined);
}

/** A connection that breaks while an answer arrives is no reason to say that the server does not answer. */
function lost(error: unknown, answer: Answer): Problem {
  if (answer.state === "streaming" && error instanceof TypeError) {
    return new Problem("The connection was lost. What arrived until then is above.", { status: null });
  }
  return asProblem(error);
}

async function* eventsOf(response: Response): AsyncGenerator<string> {
  // A provider that cannot stream answers in one piece.
  if (response.headers.get("content-type")?.startsWith("application/json")) {
    yield await response.text();
    return;
  }
  if (!response.body) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  const events = new EventReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      yield* done ? events.end() : events.push(decoder.decode(value, { stream: true }));
      if (done) return;
    }
  } finally {
    // After an error in the stream, or its end, nothing more is wanted.
    reader.cancel().catch(() => undefined);
  }
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}
