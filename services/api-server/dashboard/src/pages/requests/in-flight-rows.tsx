/** Requests in flight above the list, with their age and a way to cancel each. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { type InFlightRequest, inFlightQuery } from "../../api/in-flight";
import { isListed, type RequestFilters } from "../../api/request-list";
import { count } from "../../format/numbers";
import { duration } from "../../format/time";
import { Button } from "../../parts/button";
import { askToCancel, progressOf } from "../../parts/cancel";
import { Mark } from "../../parts/mark";
import { keep, useKept } from "./kept";
import css from "./list.module.css";

/** Milliseconds between two looks at the requests in flight, while there are any. */
const LOOK_EVERY = 1_000;
/** Maximum rows; the oldest are the first. */
const MAX_ROWS = 20;

/** Returns the requests in flight that belong to a list. */
export function useInFlight(filters: RequestFilters): InFlightRequest[] {
  const { data } = useQuery({
    ...inFlightQuery,
    refetchInterval: ({ state }) => (state.data?.length ? LOOK_EVERY : false),
  });
  return (data ?? []).filter((request) => isListed(request, filters));
}

/** A button that shows and hides the rows. */
export function InFlightCount({ requests }: { requests: InFlightRequest[] }) {
  const shown = useKept((kept) => kept.inFlight);
  if (requests.length === 0) return null;
  return (
    <Button
      small
      kind="quiet"
      aria-expanded={shown}
      title={shown ? "Hide them" : "Show them, to cancel them"}
      onClick={() => keep({ inFlight: !shown })}
    >
      {count(requests.length)} in flight
    </Button>
  );
}

/** Returns how many rows are shown: while somebody reads below, the list does not move for new ones. */
export function rowsShown(requests: number, before: number, isReading: boolean): number {
  const most = Math.min(requests, MAX_ROWS);
  return isReading ? Math.min(most, before) : most;
}

export function InFlightRows({ requests }: { requests: InFlightRequest[] }) {
  const shown = useKept((kept) => kept.inFlight);
  const before = useRef(0);
  const isReading = (document.getElementById("main")?.scrollTop ?? 0) > 0;
  const rows = shown ? rowsShown(requests.length, before.current, isReading) : 0;
  useEffect(() => {
    before.current = rows;
  });
  if (rows === 0) return null;
  return (
    <ul className={css.flight} aria-label="Requests in flight">
      {requests.slice(0, rows).map((request) => (
        <li key={request.request_id}>
          <Mark tone="busy">{progressOf(request)}</Mark>
          <Link to="/requests/$id" params={{ id: request.request_id }} preload={false} data-row>
            {request.model || request.path}
            {request.provider_id && <small className="muted"> {request.provider_id}</small>}
          </Link>
          <span title="Since it arrived">{duration(request.elapsed_ms)}</span>
          <Button small kind="danger" aria-label={`Cancel ${request.model}`} onClick={() => askToCancel(request)}>
            Cancel
          </Button>
        </li>
      ))}
      {requests.length > rows && (
        <li className="muted">
          <Link to="/live">{count(requests.length - rows)} more</Link>
        </li>
      )}
    </ul>
  );
}
