/** Bodies of requests, which workers fetch and read, so that large ones do not hold up the page. */

import { queryOptions } from "@tanstack/react-query";
import { askToSignIn } from "../app/session";
import type { Conversation, Opened } from "../workers/reader";
import { startReader, WorkerFailure } from "../workers/start";
import { type Problem, problemOf } from "./problem";
import { bodyUrl } from "./request";

/** A conversation, or only the size of the body if it is too large to be read. */
export interface ReadBody extends Opened {
  conversation: Conversation | null;
}

/** Milliseconds for which the conversation of a page that was left is kept. */
const KEPT_FOR = 60_000;

/** Reads a body as a conversation. `state` is that of the request: its answer changes with it. */
export const conversationQuery = (id: string, kind: "asked" | "answered", state: string) =>
  queryOptions({
    queryKey: ["bodies", id, kind, kind === "answered" ? state : ""],
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: KEPT_FOR,
    // Comparing it with its former value would take as long as reading it.
    structuralSharing: false,
    queryFn: ({ signal }) => readConversation(bodyUrl(id, kind), kind, signal),
  });

async function readConversation(url: string, kind: "asked" | "answered", signal: AbortSignal): Promise<ReadBody> {
  const end = new AbortController();
  signal.addEventListener("abort", () => end.abort(signal.reason));
  try {
    const reader = startReader(end.signal);
    const opened = await reader.call("open", { url });
    const conversation = opened.isTooLarge ? null : await reader.call("conversation", kind);
    return { ...opened, conversation };
  } catch (error) {
    throw refusalOf(error) ?? error;
  } finally {
    end.abort();
  }
}

/** Returns the problem that a server has reported to a worker. */
export function refusalOf(error: unknown): Problem | null {
  if (!(error instanceof WorkerFailure) || error.refusal === undefined) return null;
  const { status, body, requestId } = error.refusal;
  if (status === 401) askToSignIn();
  return problemOf(status, parsed(body), requestId);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
