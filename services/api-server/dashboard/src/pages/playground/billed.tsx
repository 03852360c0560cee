/** What an answer cost, as the log says once the request has ended: also the part that came before it was stopped. */

import { useQuery } from "@tanstack/react-query";
import { type RequestDetail, requestQuery } from "../../api/request";
import { count, dollars } from "../../format/numbers";

/** Milliseconds between two looks: the log is written once a second. */
const LOOK_EVERY = 700;
/** Looks after which the log is not asked again. */
const MAX_LOOKS = 15;

type Logged = Pick<RequestDetail, "status" | "prompt_tokens" | "completion_tokens" | "cost_nanos">;

export function Billed({ logId, stopped }: { logId: string; stopped: boolean }) {
  const { data: logged } = useQuery({
    ...requestQuery(logId),
    staleTime: Number.POSITIVE_INFINITY,
    refetchInterval: ({ state }) =>
      state.data?.status === "pending" && state.dataUpdateCount < MAX_LOOKS ? LOOK_EVERY : false,
  });
  if (!logged || logged.status === "pending") return null;
  return <span>{billedWords(logged, stopped)}</span>;
}

/** Returns what was billed, in words. Unknown is not zero. */
export function billedWords({ prompt_tokens, completion_tokens, cost_nanos }: Logged, stopped: boolean): string {
  const cost = cost_nanos == null ? "cost unknown" : dollars(cost_nanos / 1e9);
  if (!stopped) return cost;
  const counted = prompt_tokens != null || completion_tokens != null;
  const tokens = counted ? `${count(prompt_tokens)} in, ${count(completion_tokens)} out` : "tokens not reported";
  return `billed until then: ${tokens}, ${cost}`;
}
