/** The requests that are being answered, with a way to cancel each. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type InFlightRequest, inFlightQuery } from "../../api/in-flight";
import { asProblem } from "../../api/problem";
import { bytes, count, plural } from "../../format/numbers";
import { duration, exactTime, timeOfDay, UNKNOWN } from "../../format/time";
import { Button } from "../../parts/button";
import { askToCancel, progressOf } from "../../parts/cancel";
import { Card, Failure, Table } from "../../parts/layout";
import { Mark } from "../../parts/mark";

/** Milliseconds between two looks, while there are any. */
const LOOK_EVERY = 1_000;
/** Maximum rows; the oldest are the first. */
const MAX_ROWS = 50;

export function InFlight({ expected, paused }: { expected: number | null; paused: boolean }) {
  const { data, error } = useQuery({
    ...inFlightQuery,
    enabled: !paused && expected !== 0,
    refetchInterval: paused ? false : LOOK_EVERY,
  });
  if (error !== null) {
    return asProblem(error).isNotFound ? null : (
      <Failure title="The requests in flight could not be loaded." error={error} />
    );
  }
  if (!data || data.length === 0 || expected === 0) return null;
  return (
    <Card flush title={`${plural(data.length, "request")} in flight`}>
      <Table
        label="Requests in flight"
        head={
          <>
            <th>Model</th>
            <th>Provider</th>
            <th>State</th>
            <th>Began</th>
            <th className="numeric">For</th>
            <th className="numeric">First byte</th>
            <th className="numeric">Answer</th>
            <th>
              <span className="visually-hidden">Actions</span>
            </th>
          </>
        }
      >
        {data.slice(0, MAX_ROWS).map((request) => (
          <RequestRow key={request.request_id} request={request} />
        ))}
      </Table>
      {data.length > MAX_ROWS && (
        <p className="muted" style={{ padding: "8px 16px" }}>
          {count(data.length - MAX_ROWS)} more began after these.
        </p>
      )}
    </Card>
  );
}

function RequestRow({ request }: { request: InFlightRequest }) {
  return (
    <tr>
      <td className="break">
        <Link to="/requests/$id" params={{ id: request.request_id }} data-row>
          {request.model || request.path}
        </Link>
      </td>
      <td className="break" data-label="Provider">
        {request.provider_id ?? UNKNOWN}
        {request.upstream_model && request.upstream_model !== request.model && (
          <span className="muted"> {request.upstream_model}</span>
        )}
      </td>
      <td>
        <Mark tone="busy">{progressOf(request)}</Mark>
      </td>
      <td className="nowrap" data-label="Began">
        <time title={exactTime(request.timestamp)}>{timeOfDay(request.timestamp)}</time>
      </td>
      <td className="numeric" data-label="For">
        {duration(request.elapsed_ms)}
      </td>
      <td className="numeric" data-label="First byte">
        {duration(request.first_byte_ms)}
      </td>
      <td className="numeric" data-label="Answer">
        {bytes(request.response_bytes)}
      </td>
      <td className="numeric">
        <Button small kind="danger" onClick={() => askToCancel(request)}>
          Cancel
        </Button>
      </td>
    </tr>
  );
}
