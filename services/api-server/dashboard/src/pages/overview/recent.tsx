/** What happened in the last day. */

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { requestsQuery, statsQuery } from "../../api/queries";
import { useRequestEvents } from "../../api/request-events";
import { count, dollars, percent } from "../../format/numbers";
import { duration } from "../../format/time";
import { Card, Empty, Loaded } from "../../parts/layout";
import { RequestTable } from "../requests/request-table";
import css from "./overview.module.css";

export function LastDay() {
  const stats = useQuery(statsQuery);
  return (
    <Card title="Traffic" actions={<Link to="/requests">All requests</Link>}>
      <Loaded query={stats} rows={2}>
        {({ stats: s }) => (
          <dl className={css.figures}>
            <Figure name="Last hour" value={count(s.requests_last_hour)} />
            <Figure name="Last 24 hours" value={count(s.requests_last_day)} />
            <Figure
              name="Succeeded"
              value={s.total_api_requests > 0 ? percent(s.success_rate_percent) : "–"}
              more={s.recent_errors > 0 ? `${count(s.recent_errors)} failed` : undefined}
            />
            <Figure name="Mean time" value={s.total_api_requests > 0 ? duration(s.avg_response_time_ms) : "–"} />
            <Figure
              name="Cost"
              value={dollars(s.total_cost_usd)}
              more={s.unpriced > 0 ? `${count(s.unpriced)} without a price` : undefined}
            />
          </dl>
        )}
      </Loaded>
    </Card>
  );
}

function Figure({ name, value, more }: { name: string; value: string; more?: string | undefined }) {
  return (
    <div className={css.figure}>
      <dt>{name}</dt>
      <dd>
        {value} {more && <small>{more}</small>}
      </dd>
    </div>
  );
}

const NEWEST = 8;

export function NewestRequests() {
  const query = requestsQuery({}, NEWEST);
  const requests = useInfiniteQuery({ ...query, queryKey: ["requests", "recent"] as never });
  useRequestEvents({});
  return (
    <Card title="Newest requests" flush>
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
