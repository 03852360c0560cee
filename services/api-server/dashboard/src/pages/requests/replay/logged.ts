/** A replay in the log, which has it a moment after its answer. */

import { useQuery } from "@tanstack/react-query";
import { asProblem } from "../../../api/problem";
import { requestQuery } from "../../../api/request";

/** Looks for a request that may not be logged yet. */
const LOOKS = 40;
const LOOK_EVERY = 250;

export function useLogged(id: string) {
  return useQuery({
    ...requestQuery(id),
    retry: (failures, error) => asProblem(error).isNotFound && failures < LOOKS,
    retryDelay: LOOK_EVERY,
    refetchInterval: (query) => (query.state.data?.status === "pending" ? LOOK_EVERY : false),
  });
}
