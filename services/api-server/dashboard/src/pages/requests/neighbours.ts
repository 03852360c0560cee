/** The requests before and after another one, in the list that shows it. */

import { queryClient, type RequestRow, requestsQuery } from "../../api/queries";

interface Pages {
  pages: { requests: RequestRow[] }[];
}

/** Returns the id of the request that is so many rows further down, if the list has both; the newest is the first. */
export function neighbourIn(list: readonly { request_id: string }[], id: string, by: 1 | -1): string | undefined {
  const at = list.findIndex((row) => row.request_id === id);
  return at === -1 ? undefined : list[at + by]?.request_id;
}

/** Returns the neighbour in the list that was loaded last and has the request, or else in that of all requests. */
export async function neighbourOf(id: string, by: 1 | -1): Promise<string | undefined> {
  const loaded = queryClient
    .getQueryCache()
    .findAll({ queryKey: ["requests", "list"] })
    .sort((a, b) => b.state.dataUpdatedAt - a.state.dataUpdatedAt)
    .map(({ state }) => rowsOf(state.data as Pages | undefined));
  const shown = loaded.find((rows) => rows.some((row) => row.request_id === id));
  return neighbourIn(shown ?? rowsOf(await queryClient.fetchInfiniteQuery(requestsQuery({}))), id, by);
}

function rowsOf(data: Pages | undefined): RequestRow[] {
  return data?.pages.flatMap((page) => page.requests) ?? [];
}
