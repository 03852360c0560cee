/** What an answer cost, as the log says once the request has ended: also the part that came before it was stopped. */

import { queryOptions, useQuery } from "@tanstack/react-query";
import { api, data, type Schemas } from "../../api/client";
import { asProblem } from "../../api/problem";
import { count, dollars } from "../../format/numbers";

/** Milliseconds between two looks: the log is written once a second. */
const LOOK_EVERY = 700;
/** Looks after which the log is not asked again. */
const MAX_LOOKS = 15;

type Logged = Pick<Schemas["ShortRequest"], "status" | "prompt_tokens" | "completion_tokens" | "cost_nanos">;

const billedQuery = (id: string) =>
  queryOptions({
    queryKey: ["playground", "billed", id],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async ({ signal }) =>
      (await data(
        api.GET("/api/requests/{id}", { params: { path: { id }, query: { view: "short" } }, signal }),
      )) as Logged,
    retry: (looks, error) => looks < MAX_LOOKS && asProblem(error).isNotFound,
    retryDelay: LOOK_EVERY,
    refetchInterval: ({ state }) =>
      state.data?.status === "pending" && state.dataUpdateCount < MAX_LOOKS ? LOOK_EVERY : false,
  });

export function Billed({ logId, stopped }: { logId: string; stopped: boolean }) {
  const { data: logged } = useQuery(billedQuery(logId));
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
