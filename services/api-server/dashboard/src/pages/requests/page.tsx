import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { type ReactNode, useCallback, useEffect, useState } from "react";
import { inFlightQuery } from "../../api/in-flight";
import { modelsQuery, providersQuery, type RequestFilters, requestsQuery } from "../../api/queries";
import { isListed, useRequestEvents } from "../../api/request-events";
import { useConnection } from "../../api/socket";
import { count, plural } from "../../format/numbers";
import { fromLocalInput, toLocalInput } from "../../format/time";
import { Button, buttonClass, Spinner } from "../../parts/button";
import { SearchField, Select } from "../../parts/field";
import { Card, Empty, Failure, Loading, Notice, Page } from "../../parts/layout";
import { RequestWindow } from "./request-window";
import css from "./requests.module.css";
import { isFiltered, STATUSES } from "./search";
import { statusWords } from "./status-mark";

const route = getRouteApi("/requests");

export default function Requests() {
  const filters = route.useSearch();
  const navigate = useNavigate({ from: "/requests" });
  const change = useCallback(
    (changes: RequestFilters) => {
      const search = Object.fromEntries(
        Object.entries({ ...filters, ...changes }).filter(([, value]) => value !== undefined && value !== ""),
      );
      void navigate({ search, replace: changes.q !== undefined });
    },
    [filters, navigate],
  );
  return (
    <Page title="Requests" wide about="What clients asked, and what they were answered. Newest first.">
      <Filters filters={filters} change={change} />
      <List filters={filters} clear={() => void navigate({ search: {} })} />
    </Page>
  );
}

const HOUR = 3_600_000;
const RANGES: [string, string][] = [
  ["", "Any time"],
  [String(HOUR), "Last hour"],
  [String(24 * HOUR), "Last 24 hours"],
  [String(7 * 24 * HOUR), "Last 7 days"],
  ["custom", "From…"],
];

function Filters({ filters, change }: { filters: RequestFilters; change: (changes: RequestFilters) => void }) {
  const { data: providers } = useQuery(providersQuery);
  const { data: models } = useQuery(modelsQuery);
  const commit = useCallback((q: string) => change({ q }), [change]);
  const choose = (name: "status" | "model" | "provider") => (value: string) =>
    change({ [name]: value === "" ? undefined : value });
  const withCurrent = (values: string[], current: string | undefined): [string, string][] =>
    [...new Set(current ? [current, ...values] : values)].map((value) => [value, value]);
  return (
    <div className={css.filters}>
      <SearchField label="Search in questions and answers" value={filters.q ?? ""} onCommit={commit} />
      <Select
        aria-label="State"
        value={filters.status ?? ""}
        onChange={choose("status")}
        options={[
          ["", "Any state"],
          ...Object.keys(STATUSES).map((status): [string, string] => [status, statusWords(status)]),
        ]}
      />
      <Select
        aria-label="Model"
        value={filters.model ?? ""}
        onChange={choose("model")}
        options={[
          ["", "Any model"],
          ...withCurrent(
            (models ?? []).map(({ id }) => id),
            filters.model,
          ),
        ]}
      />
      <Select
        aria-label="Provider"
        value={filters.provider ?? ""}
        onChange={choose("provider")}
        options={[
          ["", "Any provider"],
          ...withCurrent(
            (providers ?? []).map(({ id }) => id),
            filters.provider,
          ),
        ]}
      />
      <Select
        aria-label="Streaming"
        value={filters.stream === undefined ? "" : String(filters.stream)}
        onChange={(value) => change({ stream: value === "" ? undefined : value === "true" })}
        options={[
          ["", "Any mode"],
          ["true", "Streamed"],
          ["false", "Whole"],
        ]}
      />
      <Select
        aria-label="Time"
        value={filters.from === undefined ? "" : "custom"}
        onChange={(value) =>
          change(
            value === ""
              ? { from: undefined, to: undefined }
              : { from: Date.now() - (value === "custom" ? 24 * HOUR : Number(value)) },
          )
        }
        options={RANGES}
      />
      {filters.from !== undefined && (
        <>
          <input
            type="datetime-local"
            aria-label="From"
            value={toLocalInput(filters.from)}
            onChange={(event) => change({ from: fromLocalInput(event.target.value) })}
          />
          <input
            type="datetime-local"
            aria-label="Until"
            value={toLocalInput(filters.to)}
            onChange={(event) => change({ to: fromLocalInput(event.target.value) })}
          />
        </>
      )}
      {filters.session !== undefined && (
        <Button small onClick={() => change({ session: undefined })}>
          Session {filters.session.slice(0, 8)}… ×
        </Button>
      )}
    </div>
  );
}

function List({ filters, clear }: { filters: RequestFilters; clear: () => void }) {
  const query = useInfiniteQuery(requestsQuery(filters));
  const { news } = useConnection();
  const { ended, reset } = useRequestEvents(filters);
  const { isFetching, isSuccess } = query;
  useEffect(() => {
    if (isFetching || !isSuccess) return;
    // The list shown is the newest one now.
    useConnection.setState({ news: 0 });
    reset();
  }, [isFetching, isSuccess, reset]);
  if (query.data === undefined) {
    return query.error ? (
      <Failure title="The requests could not be loaded." error={query.error} retry={() => void query.refetch()} />
    ) : (
      <Card flush>
        <Loading rows={10} />
      </Card>
    );
  }
  const { pages } = query.data;
  const rows = pages.flatMap((page) => page.requests);
  const last = pages.at(-1)!;
  const total = last.total ?? rows.length;
  const filtered = isFiltered(filters);
  const scanned = pages.reduce((sum, page) => sum + (page.scanned ?? 0), 0);
  const searching = filters.q !== undefined && last.complete === false;
  const { fetchNextPage, isFetchingNextPage, isError } = query;
  return (
    <>
      {query.error != null && (
        <Failure title="The newest state could not be loaded." error={query.error} retry={() => void query.refetch()} />
      )}
      <div className={css.summary}>
        <span role="status">
          {filters.q === undefined
            ? plural(total, "request")
            : `${count(rows.length)} found in ${plural(scanned, "request")}${searching ? ` of ${count(total)}` : ""}`}
        </span>
        {filtered && (
          <Button small kind="quiet" onClick={clear}>
            Clear filters
          </Button>
        )}
        <InFlight filters={filters} />
        {news > 0 && (
          <Button small kind="primary" pending={query.isRefetching} onClick={() => void query.refetch()}>
            {newsWords(news, filtered, filters.q === undefined ? ended : 0)}
          </Button>
        )}
      </div>
      <Card flush>
        {rows.length > 0 ? (
          <RequestWindow
            rows={rows}
            more={query.hasNextPage && !searching}
            loading={query.isFetchingNextPage}
            loadMore={() => void query.fetchNextPage()}
          />
        ) : searching ? null : filtered ? (
          <Empty title="Nothing matches" action={<Button onClick={clear}>Clear filters</Button>}>
            No request in the log has all of this. Widen the time, or drop a filter.
          </Empty>
        ) : (
          <Empty
            title="No request yet"
            action={
              <Link to="/connect" className={buttonClass("primary")}>
                Connect a client
              </Link>
            }
          >
            Each request of a client appears here within a second, with what was asked and answered.
          </Empty>
        )}
      </Card>
      {searching && (
        <SearchOn
          key={filters.q}
          wanted={rows.length < ENOUGH && !isError}
          fetching={isFetchingNextPage}
          searchOn={() => void fetchNextPage()}
        >
          {plural(scanned, "request")} of {count(total)} were searched.
        </SearchOn>
      )}
    </>
  );
}

/** Returns what the button says that shows new requests. Those that match are known only while the page is open. */
export function newsWords(news: number, filtered: boolean, matching: number): string {
  if (!filtered) return `Show ${count(news)} new`;
  return matching > 0 ? `Show ${count(matching)} new that match` : `${count(news)} new in the log: look again`;
}

/** Milliseconds between two looks at the requests in flight, while there are any. */
const LOOK_EVERY = 2_000;

/** Counts what is being answered. It has no row of its own, so that the list stays where it is. */
function InFlight({ filters }: { filters: RequestFilters }) {
  const { data } = useQuery({
    ...inFlightQuery,
    refetchInterval: ({ state }) => (state.data?.length ? LOOK_EVERY : false),
  });
  const listed = (data ?? []).filter((request) => isListed(request, filters)).length;
  if (listed === 0) return null;
  return (
    <Link to="/live" title="Look at them, and cancel them">
      {count(listed)} in flight
    </Link>
  );
}

/** Results after which a search waits to be told to go on. */
const ENOUGH = 50;

interface SearchOnProps {
  /** Whether there are too few results yet. */
  wanted: boolean;
  fetching: boolean;
  searchOn: () => void;
  children: ReactNode;
}

/** Goes on with a search, a part of the log at a time, until there are enough results or it is stopped. */
function SearchOn({ wanted, fetching, searchOn, children }: SearchOnProps) {
  const [stopped, setStopped] = useState(false);
  const goesOn = wanted && !stopped;
  // biome-ignore lint/correctness/useExhaustiveDependencies: each part that has arrived asks for the next one
  useEffect(() => {
    if (goesOn && !fetching) searchOn();
  }, [goesOn, fetching]);
  return (
    <Notice
      action={
        goesOn ? (
          <Button small onClick={() => setStopped(true)}>
            Stop
          </Button>
        ) : (
          <Button small pending={fetching} onClick={searchOn}>
            Search on
          </Button>
        )
      }
    >
      {goesOn && <Spinner />} {children}
    </Notice>
  );
}
