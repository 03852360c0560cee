/** The newest requests. */

import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { requestsQuery } from "../../api/queries";
import { Card, Empty, Loaded } from "../../parts/layout";
import { RequestTable } from "../requests/request-table";
import { useFreshFigures } from "./use-fresh-figures";

const NEWEST = 8;

export function NewestRequests() {
  const query = requestsQuery({}, NEWEST);
  const requests = useInfiniteQuery({ ...query, queryKey: ["requests", "recent"] as never });
  useFreshFigures();
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
