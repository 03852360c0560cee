import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo } from "react";
import { newerQuery, TOP } from "../../api/request-list";
import { Failure, Page } from "../../parts/layout";
import { changed, defined, filtersOf, withoutFilters } from "./filter-words";
import { Filters } from "./filters";
import { useKept } from "./kept";
import { useLeftList } from "./last-list";
import { RequestList } from "./request-list";
import type { ListSearch } from "./search";

const route = getRouteApi("/requests");

export default function Requests() {
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/requests" });
  const left = useLeftList(search);
  const change = useCallback(
    (changes: ListSearch) => {
      // What is being typed makes no entries in the history.
      void navigate({ search: changed(search, changes), replace: "q" in changes });
    },
    [search, navigate],
  );
  const clear = useCallback(() => void navigate({ search: withoutFilters(search) }), [search, navigate]);
  const peek = useCallback(
    (id: string | undefined) => {
      void navigate({ search: defined({ ...search, peek: id }), replace: true, resetScroll: false });
    },
    [search, navigate],
  );
  const { range } = useKept();
  const isBare = Object.keys(defined(search)).length === 0;
  const begin: ListSearch = left ? left.search : range === "24h" ? {} : { range };
  const isElsewhere = isBare && Object.keys(defined(begin)).length > 0;
  useEffect(() => {
    // The address says what is shown, so that it can be passed on.
    if (isElsewhere) void navigate({ search: begin, replace: true });
  });
  // Filters that are the same are the same object: queries depend on them.
  const text = JSON.stringify(filtersOf(search));
  const filters = useMemo(() => JSON.parse(text) as ListSearch, [text]);
  const { at } = search;
  const newer = useQuery({ ...newerQuery(filters, at ?? 0), enabled: at !== undefined && search.q === undefined });
  const anchor = at === undefined || newer.data === undefined ? TOP : { at: newer.data, until: at };
  const waiting = at !== undefined && search.q === undefined && newer.data === undefined && !newer.error;
  return (
    <Page title="Requests" wide about="What clients asked, and what they were answered. Newest first.">
      <Filters search={search} change={change} clear={clear} />
      {newer.error && at !== undefined && (
        <Failure
          title="The time could not be found in the list."
          error={newer.error}
          retry={() => void newer.refetch()}
        />
      )}
      {!isElsewhere && !waiting && (
        <RequestList
          key={`${text} ${anchor.at} ${at ?? ""}`}
          filters={filters}
          search={search}
          begin={left && anchor === TOP ? left.anchor : anchor}
          left={left}
          change={change}
          clear={clear}
          peek={peek}
        />
      )}
    </Page>
  );
}
