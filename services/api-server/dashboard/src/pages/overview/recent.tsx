/** The newest requests. */

import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect } from "react";
import { requestsQuery } from "../../api/queries";
import { useRequestEvents } from "../../api/request-events";
import { Card, Empty, Loaded } from "../../parts/layout";
import { RequestTable } from "../requests/request-table";

const NEWEST = 8;

/** Milliseconds in which the end of a request is in the log and in the sums. */
const LOGGED_WITHIN = 1_500;

export function NewestRequests() {
  const query = requestsQuery({}, NEWEST);
  const requests = useInfiniteQuery({ ...query, queryKey: ["requests", "recent"] as never });
  useEnds();
  return (
    <Card title="Newest requests" flush actions={<Link to="/requests">All requests</Link>}>
      <Loaded query={requests}>
        {({ pages }) =>
          pages[0]?.requests.length ? (
            <RequestTable rows={pages[0].requests} />
          ) : (
            <Empty title="No request yet" action={<Link to="/connect">Connect a client</Link>}>
              Each request of a client appears here within a second, with what was asked and answered.
            </Empty>
          )
        }
      </Loaded>
    </Card>
  );
}

/** Reads the sums again after requests have ended: the event of new requests tells when they began. */
function useEnds(): void {
  const client = useQueryClient();
  const { ended } = useRequestEvents({});
  useEffect(() => {
    if (ended === 0) return;
    const timer = setTimeout(() => void client.invalidateQueries({ queryKey: ["requests", "stats"] }), LOGGED_WITHIN);
    return () => clearTimeout(timer);
  }, [client, ended]);
}
