/** Sends a chat through the API server, which asks the router with its own credentials. */

import { send } from "../../api/client";
import { asProblem, Problem } from "../../api/problem";
import { type Answer, errorIn, waiting, withChunk } from "./answer";
import { EventReader } from "./sse";

const RELAY = "/api/playground/chat/completions";
/** Header with the id under which the router logs the request. */
const LOGGED_ID = "x-signalbox-request-id";

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
    const response = await send(RELAY, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify(body),
      signal,
    });
    answer = { ...answer, logId: response.headers.get(LOGGED_ID) };
    for await (const data of eventsOf(response)) {
      if (data === "[DONE]") break;
      const chunk = parsed(data);
      const error = errorIn(chunk);
      if (error !== null) throw new Problem(error, { status: response.status });
      answer = withChunk(answer, chunk, now());
      report(answer);
    }
    return end({ state: "done" });
  } catch (error) {
    if (signal.aborted) return end({ state: "stopped" });
    return end({ state: "failed", problem: lost(error, answer) });
  }
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
  for (;;) {
    const { done, value } = await reader.read();
    yield* done ? events.end() : events.push(decoder.decode(value, { stream: true }));
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
