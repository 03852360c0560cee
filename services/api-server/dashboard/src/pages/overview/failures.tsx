/** The newest requests that failed, with their reasons. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { failuresQuery } from "../../api/overview";
import { exactTime, timeOfDay, UNKNOWN } from "../../format/time";
import { Card, Empty, Loaded } from "../../parts/layout";
import { StatusMark } from "../requests/status-mark";
import css from "./overview.module.css";

export function NewestFailures() {
  const query = useQuery(failuresQuery);
  return (
    <Card
      flush
      title="Newest failures"
      actions={
        (query.data?.length ?? 0) > 0 && (
          <Link to="/requests" search={{ has_error: true }}>
            All of the last 24 hours
          </Link>
        )
      }
    >
      <Loaded query={query} rows={4}>
        {(failures) =>
          failures.length === 0 ? (
            <Empty title="None">No request of the last 24 hours has failed.</Empty>
          ) : (
            <ul className={css.failures} aria-label="Newest failures">
              {failures.map(({ request_id, status, timestamp, model, provider_id, error }) => (
                <li key={request_id}>
                  <Link to="/requests/$id" params={{ id: request_id }} preload={false} data-row>
                    <StatusMark status={status} />
                    <span>
                      <time title={exactTime(timestamp)}>{timeOfDay(timestamp)}</time> {model || UNKNOWN}
                      {provider_id && <small> {provider_id}</small>}
                    </span>
                    <span className={css.reason}>{error ?? UNKNOWN}</span>
                  </Link>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Card>
  );
}
