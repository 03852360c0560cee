/** Sums of the last hour and the last day. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { dayQuery, hourQuery, type Minutes, type Sums } from "../../api/overview";
import { count, dollars, percent, plural, short } from "../../format/numbers";
import { duration, UNKNOWN } from "../../format/time";
import { Card, Loaded } from "../../parts/layout";
import { barsOf } from "./bars";
import css from "./overview.module.css";

export function LastHour() {
  const hour = useQuery(hourQuery);
  const day = useQuery(dayQuery).data;
  return (
    <Card
      title="Last hour"
      actions={
        <Link to="/live" search={{ range: "1h" }}>
          Live
        </Link>
      }
    >
      <Loaded query={hour} rows={4}>
        {({ sums, minutes }) => (
          <div className={css.hour}>
            <PerMinute minutes={minutes} />
            <dl className={css.figures}>
              <Figure name="Requests" value={count(sums.requests)} />
              <Figure name="Failed" value={count(sums.failed)} more={shareOf(sums)} />
              <Figure name="p50" value={duration(sums.p50)} />
              <Figure name="p95" value={duration(sums.p95)} />
              <Figure name="First token, p50" value={duration(sums.first)} />
              <Figure name="Tokens in" value={short(sums.prompt)} />
              <Figure name="Tokens out" value={short(sums.completion)} />
              <Figure name="Cost" {...costOf(sums, day?.unpricedInHour)} />
            </dl>
            <p className="muted">
              Times are of completed requests.{" "}
              {day && (
                <>
                  In the last 24 hours: {plural(day.sums.requests, "request")}, {count(day.sums.failed)} failed, cost{" "}
                  {costOf(day.sums, day.unpriced).value}
                  {day.unpriced > 0 && ` (${count(day.unpriced)} without a known price)`}.
                </>
              )}
            </p>
          </div>
        )}
      </Loaded>
    </Card>
  );
}

function shareOf({ requests, failed }: Sums): string | undefined {
  return failed > 0 ? percent((100 * failed) / requests) : undefined;
}

/** Returns the sum of the known costs. If all of it may be unknown, it is not zero. */
function costOf({ cost }: Sums, unpriced: number | undefined): { value: string; more?: string } {
  if (unpriced === 0) return { value: dollars(cost) };
  return cost > 0 ? { value: dollars(cost), more: "of those with a price" } : { value: UNKNOWN };
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

const HEIGHT = 36;

function PerMinute({ minutes }: { minutes: Minutes }) {
  const bars = barsOf(minutes, HEIGHT);
  const most = Math.max(0, ...minutes.requests);
  return (
    <svg
      className={css.bars}
      viewBox={`0 0 ${Math.max(1, bars.length)} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`Requests per minute, at most ${count(most)}`}
    >
      {bars.map(({ all, failed }, at) => (
        <g key={at}>
          <rect x={at + 0.1} width={0.8} y={HEIGHT - all} height={all} />
          {failed > 0 && <rect className={css.failed} x={at + 0.1} width={0.8} y={HEIGHT - failed} height={failed} />}
        </g>
      ))}
    </svg>
  );
}
