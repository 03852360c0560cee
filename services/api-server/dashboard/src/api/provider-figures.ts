/** Figures of the providers over the last day. */

import { queryOptions } from "@tanstack/react-query";
import { fetchTop, type TopRow } from "./usage";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** Maximum providers with figures, those with the most requests first: the server tells no more. */
const MAX = 100;

export const providerFiguresQuery = queryOptions({
  queryKey: ["metrics", "day", "provider"],
  staleTime: MINUTE,
  refetchInterval: MINUTE,
  queryFn: async ({ signal }): Promise<ReadonlyMap<string, TopRow>> => {
    const to = Date.now();
    const rows = await fetchTop({ from: to - DAY, to, by: "provider", limit: MAX }, signal);
    return new Map(rows.map((row) => [row.key, row]));
  },
});
