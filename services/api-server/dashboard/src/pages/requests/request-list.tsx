/** The list: its figures, its rows, and what can be done with them. */

import { Link } from "@tanstack/react-router";
import { lazy, Suspense, useCallback, useEffect, useRef, useState } from "react";
import { useRequestEvents } from "../../api/request-events";
import type { Anchor, RequestRow } from "../../api/request-list";
import { useConnection } from "../../api/socket";
import { useReturning } from "../../app/returning";
import { Button, buttonClass } from "../../parts/button";
import { Card, Empty, Failure, Loading } from "../../parts/layout";
import { filterWords, rangeWords } from "./filter-words";
import { InFlightRows, useInFlight } from "./in-flight-rows";
import { useKept } from "./kept";
import { type LeftList, useRemembered } from "./last-list";
import css from "./list.module.css";
import { Summary } from "./list-summary";
import { MarkedActions } from "./marked-actions";
import { focusRow, RequestWindow } from "./request-window";
import { isFiltered, type ListSearch } from "./search";
import { SearchOn } from "./search-on";
import { useRows } from "./use-rows";

const FigureStrip = lazy(() => import("./figure-strip"));
const ExportDialog = lazy(() => import("./export-dialog"));
const Peek = lazy(() => import("./peek"));

interface ListProps {
  filters: ListSearch;
  search: ListSearch;
  /** The row to begin with. */
  begin: Anchor;
  left: LeftList | null;
  change: (changes: ListSearch) => void;
  clear: () => void;
  peek: (id: string | undefined) => void;
}

export function RequestList({ filters, search, begin, left, change, clear, peek }: ListProps) {
  // Only the list that is shown first is the one that was left.
  const [returned] = useState(left);
  const isReturn = returned !== null;
  const list = useRows(filters, begin, isReturn);
  const { query, loaded, last, searching, more, refresh } = list;
  const { columns, figures } = useKept();
  const { ended, reset } = useRequestEvents(filters);
  const inFlight = useInFlight(filters);
  const [marked, setMarked] = useState<ReadonlyMap<string, RequestRow>>(new Map());
  const [exported, setExported] = useState<"all" | "marked" | null>(null);
  const isMarked = useRef(marked);
  isMarked.current = marked;
  useRemembered(search, list.anchor);
  const restoring = useReturning(({ place }) => place !== null);
  const isTop = list.anchor.at === 0;
  const { isSuccess } = query;
  useEffect(() => {
    if (!isSuccess || !isTop || isReturn) return;
    // The list shown is the newest one now.
    useConnection.setState({ news: 0 });
    reset();
  }, [isSuccess, isTop, isReturn, reset]);
  const showNew = useCallback(async () => {
    await refresh();
    useConnection.setState({ news: 0 });
    reset();
    document.getElementById("main")?.scrollTo(0, 0);
  }, [refresh, reset]);
  const onMark = useCallback((row: RequestRow) => setMarked((old) => toggled(old, row)), []);
  const closePeek = () => {
    peek(undefined);
    if (search.peek !== undefined) focusRow(search.peek, () => {});
  };
  if (last === undefined) {
    return query.error ? (
      <Failure title="The requests could not be loaded." error={query.error} retry={() => void query.refetch()} />
    ) : (
      <Card flush>
        <Loading rows={10} />
      </Card>
    );
  }
  const { rows } = loaded;
  const filtered = isFiltered(search);
  const isAll = loaded.first === 0 && !query.hasNextPage;
  const selection = { marked: new Set(marked.keys()), peeked: search.peek };
  return (
    <>
      {figures && (
        <Suspense fallback={<div className={css.figures} />}>
          <FigureStrip search={search} rows={rows} isAll={isAll} change={change} />
        </Suspense>
      )}
      {query.error != null && (
        <Failure title="The newest state could not be loaded." error={query.error} retry={() => void query.refetch()} />
      )}
      <Summary
        search={search}
        filters={filters}
        found={rows.length}
        searched={last.searched}
        searching={searching}
        isAll={isAll}
        inFlight={inFlight}
        ended={ended}
        refreshing={query.isRefetching && !query.isFetchingNextPage}
        change={change}
        showNew={() => void showNew()}
        onExport={() => setExported("all")}
      />
      <div className={css.withPeek} data-open={search.peek !== undefined}>
        <Card flush>
          <InFlightRows requests={inFlight} />
          {rows.length > 0 ? (
            <RequestWindow
              loaded={loaded}
              previews={list.previews}
              columns={columns}
              selection={selection}
              more={more || searching}
              outdated={query.isPlaceholderData}
              beginWith={isReturn || begin.until === undefined ? undefined : begin.at}
              restoring={restoring}
              onVisible={list.onVisible}
              onMark={onMark}
              onPeek={peek}
            />
          ) : searching ? null : (
            <Nothing search={search} filtered={filtered} clear={clear} change={change} />
          )}
          {query.isFetchingNextPage && !searching && <Loading rows={3} />}
        </Card>
        {search.peek !== undefined && (
          <Suspense fallback={<Loading rows={6} />}>
            <Peek id={search.peek} onClose={closePeek} />
          </Suspense>
        )}
      </div>
      {searching && (
        <SearchOn
          key={filters.q}
          found={rows.length}
          searched={last.searched}
          filters={filters}
          failed={query.isError}
          fetching={query.isFetchingNextPage}
          searchOn={() => void query.fetchNextPage()}
        />
      )}
      <MarkedActions
        rows={[...marked.values()]}
        onExport={() => setExported("marked")}
        onDeleted={(ids) => {
          list.remove(ids);
          setMarked(without(isMarked.current, ids));
        }}
        onClear={() => setMarked(new Map())}
      />
      {exported !== null && (
        <Suspense>
          <ExportDialog
            filters={filters}
            words={filterWords(search, (id) => id)}
            rows={exported === "marked" ? [...marked.values()] : undefined}
            onClose={() => setExported(null)}
          />
        </Suspense>
      )}
    </>
  );
}

/** Returns the marked rows with another one, or without it. */
export function toggled(marked: ReadonlyMap<string, RequestRow>, row: RequestRow): Map<string, RequestRow> {
  const next = new Map(marked);
  if (!next.delete(row.request_id)) next.set(row.request_id, row);
  return next;
}

function without(marked: ReadonlyMap<string, RequestRow>, ids: string[]): Map<string, RequestRow> {
  return new Map([...marked].filter(([id]) => !ids.includes(id)));
}

interface NothingProps {
  search: ListSearch;
  filtered: boolean;
  clear: () => void;
  change: (changes: ListSearch) => void;
}

/** Says why there are no rows, and what helps. */
function Nothing({ search, filtered, clear, change }: NothingProps) {
  const time = rangeWords(search);
  const anyTime = time !== "all time" && (
    <Button onClick={() => change({ range: "any", from: undefined, to: undefined })}>Look at any time</Button>
  );
  if (filtered) {
    const action = (
      <>
        <Button onClick={clear}>Clear filters</Button> {anyTime}
      </>
    );
    return (
      <Empty title="Nothing matches" action={action}>
        No request of {time} has all of this. Drop a filter, or widen the time.
      </Empty>
    );
  }
  const connect = (
    <Link to="/connect" className={buttonClass("primary")}>
      Connect a client
    </Link>
  );
  return time === "all time" ? (
    <Empty title="No request yet" action={connect}>
      Each request of a client appears here within a second, with what was asked and answered.
    </Empty>
  ) : (
    <Empty
      title={`No request in ${time}`}
      action={
        <>
          {anyTime} {connect}
        </>
      }
    >
      Each request of a client appears here within a second, with what was asked and answered.
    </Empty>
  );
}
