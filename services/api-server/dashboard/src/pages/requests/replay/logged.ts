/** A replay in the log, which has its end a moment after its answer. */

import { useQuery } from "@tanstack/react-query";
import { requestQuery } from "../../../api/request";

const LOOK_EVERY = 250;

export function useLogged(id: string) {
  return useQuery({
    ...requestQuery(id),
    refetchInterval: (query) => (query.state.data?.status === "pending" ? LOOK_EVERY : false),
  });
}
