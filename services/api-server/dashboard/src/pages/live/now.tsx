/** What the router does at this moment. */

import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { type Breaker, type ProviderActivity, type Tick, useTopic } from "../../api/topics";
import { count } from "../../format/numbers";
import { duration, UNKNOWN } from "../../format/time";
import { Card, Notice, Table } from "../../parts/layout";
import { Mark, type Tone } from "../../parts/mark";
import { rate } from "./charts";
import { InFlight } from "./in-flight";
import css from "./live.module.css";

/** Milliseconds in which a server that knows the event has sent one. */
const EXPECTED_WITHIN = 5_000;

export function Now({ paused }: { paused: boolean }) {
  const tick = useTopic("metrics", { paused }).at(-1);
  const [waited, setWaited] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setWaited(true), EXPECTED_WITHIN);
    return () => clearTimeout(timer);
  }, []);
  if (!tick)
    return waited && !paused ? (
      <p className="muted">This server does not tell what happens now. Later versions do.</p>
    ) : null;
  return (
    <>
      <Card title="Now">
        {tick.router ? (
          <Figures tick={tick} />
        ) : (
          <Notice tone="warn">
            The router does not answer. <Link to="/">Start it on the overview.</Link>
          </Notice>
        )}
      </Card>
      {tick.router && <InFlight expected={tick.in_flight} paused={paused} />}
      {tick.providers.length > 0 && <Providers providers={tick.providers} />}
    </>
  );
}

function Figures({ tick }: { tick: Tick }) {
  const known = (value: number | null) => (value === null ? UNKNOWN : rate(value));
  const last = tick.latencies.at(-1);
  return (
    <dl className={css.figures}>
      <Figure name="In flight" value={count(tick.in_flight)} />
      <Figure name="Requests per second" value={known(tick.requests_per_s)} />
      <Figure name="Errors per second" value={known(tick.errors_per_s)} />
      <Figure name="Tokens per second" value={known(tick.tokens_per_s)} />
      <Figure
        name={`Median of the last ${count(tick.latencies.length)}`}
        value={duration(median(tick.latencies.map((one) => one.duration_ms)))}
      />
      <Figure name="Last one" value={duration(last?.duration_ms)} />
    </dl>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

/** Returns the middle of the values, or `null` if there are none. */
export function median(values: number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const BREAKERS: Record<Breaker, [Tone, string]> = {
  closed: ["ok", "requests pass"],
  "half-open": ["warn", "one request is let through, to try"],
  open: ["bad", "left out"],
};

/** Returns mark and words for the state of a provider. */
export function activityOf({ healthy, breaker }: Pick<ProviderActivity, "healthy" | "breaker">): [Tone, string] {
  if (breaker === "closed" && !healthy) return ["warn", "its last request failed"];
  return BREAKERS[breaker] ?? ["off", breaker];
}

function Providers({ providers }: { providers: ProviderActivity[] }) {
  return (
    <Card flush title="Providers now">
      <Table
        label="Providers now"
        head={
          <>
            <th>Provider</th>
            <th>State</th>
            <th className="numeric">Tried again in</th>
            <th className="numeric">Attempts in flight</th>
          </>
        }
      >
        {providers.map((provider) => {
          const [tone, words] = activityOf(provider);
          return (
            <tr key={provider.id}>
              <td className="break">
                <Link to="/providers/$id" params={{ id: provider.id }} data-row>
                  {provider.id}
                </Link>
              </td>
              <td>
                <Mark tone={tone}>{words}</Mark>
              </td>
              <td className="numeric" data-label="Tried again in">
                {duration(provider.cooldown_ms)}
              </td>
              <td className="numeric" data-label="Attempts in flight">
                {count(provider.in_flight)}
              </td>
            </tr>
          );
        })}
      </Table>
    </Card>
  );
}
