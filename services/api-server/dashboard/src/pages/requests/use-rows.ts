/** The rows of the list: which of them are loaded, and what is loaded next. */

import { type InfiniteData, type QueryClient, useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { type Anchor, previewsQuery, type RequestFilters, type RowPage, rowsQuery, TOP } from "../../api/request-list";
import { anchorFor, learn, loadedOf, needOf, pagesWithin } from "./window";

interface Place {
  /** The filters, as text. */
  of: string;
  anchor: Anchor;
}

type Pages = InfiniteData<RowPage>;

export function useRows(filters: RequestFilters, begin: Anchor, isReturn: boolean) {
  const client = useQueryClient();
  const of = JSON.stringify(filters);
  const [place, setPlace] = useState<Place>(() => {
    if (!isReturn) keepFirstPage(client, filters);
    return { of, anchor: begin };
  });
  const anchor = place.of === of ? place.anchor : TOP;
  const goTo = useCallback((anchor: Anchor) => setPlace({ of, anchor }), [of]);
  const known = useRef({ of, cursors: new Map<number, string>() });
  if (known.current.of !== of) known.current = { of, cursors: new Map() };
  const query = useInfiniteQuery({
    ...rowsQuery(filters, anchor),
    // What was deleted meanwhile is read again.
    refetchOnMount: ({ state }) => (isReturn ? state.isInvalidated : "always"),
    // Another part of the same list: its rows stay until those asked for arrive.
    placeholderData: (old, before) => (JSON.stringify(before?.queryKey[2]) === of ? old : undefined),
  });
  const { data, isFetching, isPlaceholderData, isError, hasNextPage, fetchNextPage, fetchPreviousPage } = query;
  const pages = useMemo(() => data?.pages ?? [], [data]);
  const loaded = useMemo(() => loadedOf(pages), [pages]);
  if (!isPlaceholderData) learn(known.current.cursors, pages);
  const last = pages.at(-1);
  const searching = filters.q !== undefined && last?.complete === false;
  const [visible, setVisible] = useState({ start: begin.at, end: begin.at });
  const onVisible = useCallback((start: number, end: number) => setVisible({ start, end }), []);
  const more = hasNextPage && !searching;
  useEffect(() => {
    if (isFetching || isPlaceholderData || isError || loaded.rows.length === 0) return;
    const need = needOf(loaded, visible, more);
    if (need === "next") void fetchNextPage();
    else if (need === "previous") void fetchPreviousPage();
    else if (need === "elsewhere") goTo(anchorFor(visible.start, known.current.cursors));
  }, [isFetching, isPlaceholderData, isError, loaded, visible, more, fetchNextPage, fetchPreviousPage, goTo]);

  const refresh = useCallback(async () => {
    known.current.cursors.clear();
    keepFirstPage(client, filters);
    goTo(TOP);
    for (const kind of ["total", "figures"]) void client.invalidateQueries({ queryKey: ["requests", kind] });
    await client.refetchQueries({ queryKey: rowsQuery(filters, TOP).queryKey, exact: true });
  }, [client, filters, goTo]);
  const remove = useCallback(
    (ids: string[]) => {
      const isGone = new Set(ids);
      const without = ({ requests, ...page }: RowPage): RowPage => ({
        ...page,
        requests: requests.filter(({ request_id }) => !isGone.has(request_id)),
      });
      client.setQueriesData<Pages>(
        { queryKey: ["requests", "list", filters, "rows"] },
        (old) => old && { ...old, pages: old.pages.map(without) },
      );
    },
    [client, filters],
  );
  const previews = usePreviews(filters, pagesWithin(pages, visible));
  return { query, anchor, goTo, loaded, last, searching, more, visible, onVisible, previews, refresh, remove };
}

/** Forgets the rows of a list but for those of one page, so that only this one is read again. */
function keepFirstPage(client: QueryClient, filters: RequestFilters): void {
  const { queryKey } = rowsQuery(filters, TOP);
  client.setQueryData<Pages>(queryKey, (old) => old && { pages: old.pages.slice(0, 1), pageParams: [TOP] });
  client.removeQueries({
    queryKey: queryKey.slice(0, 4),
    type: "inactive",
    predicate: (query) => JSON.stringify(query.queryKey) !== JSON.stringify(queryKey),
  });
}

const NO_PAGE: RowPage = { requests: [], at: 0, searched: 0 };

/** Returns the questions of the rows of these pages: a window shows rows of three at most. */
function usePreviews(filters: RequestFilters, [first, second, third]: RowPage[]): Record<number, string> {
  const { data: one } = useQuery({ ...previewsQuery(filters, first ?? NO_PAGE), enabled: first !== undefined });
  const { data: two } = useQuery({ ...previewsQuery(filters, second ?? NO_PAGE), enabled: second !== undefined });
  const { data: three } = useQuery({ ...previewsQuery(filters, third ?? NO_PAGE), enabled: third !== undefined });
  return useMemo(() => ({ ...one, ...two, ...three }), [one, two, three]);
}
