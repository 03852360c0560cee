/** When each provider was asked, when it answered, and what lies between. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { inFlightQuery } from "../../api/in-flight";
import { type Attempt, explainQuery, type RequestDetail } from "../../api/request";
import { bytes, count } from "../../format/numbers";
import { duration, exactTime, UNKNOWN } from "../../format/time";
import { Card, Empty, Facts, Loaded, Stack, Table } from "../../parts/layout";
import { Mark } from "../../parts/mark";
import { type AttemptRow, type GapRow, type Phase, ticksOf, waterfall } from "./attempts";
import css from "./timing.module.css";

export function TimingTab({ request }: { request: RequestDetail }) {
  if (request.status === "pending") return <Pending id={request.request_id} />;
  return <Attempts request={request} />;
}

/** Milliseconds between two looks at a request in flight. */
const LOOK_EVERY = 1_000;

function Pending({ id }: { id: string }) {
  const { data } = useQuery({ ...inFlightQuery, refetchInterval: LOOK_EVERY });
  const found = data?.find(({ request_id }) => request_id === id);
  if (!found)
    return <Empty title="Not answered yet">The times of the attempts appear with the end of the answer.</Empty>;
  return (
    <Card title="Under way">
      <Facts
        facts={[
          [
            "State",
            <Mark key="state" tone="busy">
              {found.phase}
            </Mark>,
          ],
          ["Since", duration(found.elapsed_ms)],
          ["Provider", found.provider_id ?? UNKNOWN],
          ["Attempts", count(found.attempts)],
          ["First byte after", duration(found.first_byte_ms)],
          ["Answered so far", bytes(found.response_bytes)],
        ]}
      />
    </Card>
  );
}

function Attempts({ request }: { request: RequestDetail }) {
  const query = useQuery(explainQuery(request.request_id));
  return (
    <Loaded query={query}>
      {({ attempts }) =>
        attempts.length === 0 ? (
          <Empty title="No provider was asked">
            The request was answered without one: it was refused, it came from the cache, or it was cancelled before.
          </Empty>
        ) : (
          <Waterfall attempts={attempts} request={request} />
        )
      }
    </Loaded>
  );
}

function Waterfall({ attempts, request }: { attempts: Attempt[]; request: RequestDetail }) {
  const { rows, end } = waterfall(attempts, request.duration_ms);
  return (
    <Stack>
      <Card flush title="Attempts">
        <Table
          label="Attempts"
          head={
            <>
              <th>Attempt</th>
              <th>Outcome</th>
              <th className={css.barHead}>
                <Axis end={end} />
              </th>
              <th className="numeric">Begun</th>
              <th className="numeric">First byte</th>
              <th className="numeric">End</th>
            </>
          }
        >
          {rows.map((row) =>
            row.kind === "gap" ? (
              <Gap key={`gap ${row.from}`} row={row} end={end} />
            ) : (
              <AttemptView key={row.number} row={row} end={end} />
            ),
          )}
        </Table>
        <Legend />
      </Card>
      <p className="muted">
        Times are counted from the arrival of the request at {exactTime(request.timestamp)}. Its last byte was sent
        after {duration(request.duration_ms)}.
      </p>
    </Stack>
  );
}

function Axis({ end }: { end: number }) {
  return (
    <span className={css.axis} aria-hidden="true">
      {ticksOf(end).map((at) => (
        <span key={at} style={{ insetInlineStart: share(at, end) }}>
          {duration(at)}
        </span>
      ))}
    </span>
  );
}

function share(at: number, end: number): string {
  return end <= 0 ? "0%" : `${(at / end) * 100}%`;
}

function AttemptView({ row, end }: { row: AttemptRow; end: number }) {
  const { attempt, number } = row;
  return (
    <tr>
      <td className={`break ${css.attempt}`}>
        {number}{" "}
        <Link to="/providers/$id" params={{ id: attempt.provider }}>
          {attempt.provider}
        </Link>
        {attempt.model && <div className="muted">{attempt.model}</div>}
      </td>
      <td className={css.outcome}>
        <Outcome attempt={attempt} />
      </td>
      <td className={css.barCell}>
        <div className={css.track} title={row.phases.map(phaseWords).join(", ")}>
          {row.phases.map((phase) => (
            <span
              key={phase.words}
              className={`${css.phase} ${css[CLASSES[phase.name]]}`}
              style={{ insetInlineStart: share(phase.from, end), width: share(phase.to - phase.from, end) }}
            />
          ))}
        </div>
        <span className={css.words}>{row.phases.map(phaseWords).join(", ")}</span>
      </td>
      <td className="numeric" data-label="Begun">
        {duration(attempt.start_ms)}
      </td>
      <td className="numeric" data-label="First byte">
        {duration(attempt.first_byte_ms)}
      </td>
      <td className="numeric" data-label="End">
        {duration(attempt.end_ms)}
      </td>
    </tr>
  );
}

const CLASSES = {
  connection: "connection",
  headers: "headers",
  "first byte": "first",
  answer: "answer",
  "not recorded": "unknown",
} as const satisfies Record<Phase["name"], string>;

function phaseWords({ words, from, to }: Phase): string {
  return `${words} ${duration(to - from)}`;
}

function Outcome({ attempt }: { attempt: Attempt }) {
  const { status, error, why_next: why } = attempt;
  const isOk = error == null && (status == null || status < 400);
  return (
    <>
      <Mark tone={isOk ? "ok" : "bad"}>{isOk ? "answered" : "failed"}</Mark>
      {status != null && <span className="numeric"> {status}</span>}
      {error && <div className="break">{error}</div>}
      {why && <div className="muted break">{why}</div>}
    </>
  );
}

function Gap({ row, end }: { row: GapRow; end: number }) {
  return (
    <tr className={css.gapRow}>
      <td>
        <span className="visually-hidden">No attempt</span>
      </td>
      <td className="muted">{row.words}</td>
      <td className={css.barCell}>
        <div className={css.track}>
          <span
            className={`${css.phase} ${css.gap}`}
            style={{ insetInlineStart: share(row.from, end), width: share(row.to - row.from, end) }}
          />
        </div>
        <span className={css.words}>{duration(row.to - row.from)}</span>
      </td>
      <td className="numeric" data-label="From">
        {duration(row.from)}
      </td>
      <td />
      <td className="numeric" data-label="To">
        {duration(row.to)}
      </td>
    </tr>
  );
}

const LEGEND = [
  ["connection", "connection"],
  ["headers", "headers"],
  ["first", "first byte"],
  ["answer", "answer"],
  ["unknown", "its parts were not recorded"],
  ["gap", "no provider is asked"],
] as const;

function Legend() {
  return (
    <ul className={css.legend} aria-label="Meaning of the bars">
      {LEGEND.map(([name, words]) => (
        <li key={name}>
          <span className={`${css.sample} ${css[name]}`} aria-hidden="true" /> {words}
        </li>
      ))}
    </ul>
  );
}
