/** One turn of a conversation: what is new in its request, and the answer. It is read when it comes into view. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useRef } from "react";
import type { RequestRow } from "../../api/request-list";
import { address } from "../../app/base";
import { bytes, dollars, plural, short } from "../../format/numbers";
import { duration, exactTime, timeOfDay } from "../../format/time";
import { classes, Row } from "../../parts/button";
import { Failure, Loading, Stack } from "../../parts/layout";
import type { Turns } from "../../workers/start-turns";
import { MessageCard } from "../requests/messages";
import { StatusMark } from "../requests/status-mark";
import { useSeen } from "./seen";
import css from "./sessions.module.css";

/** Maximum bytes of a request that is read here. */
const MAX_BYTES = 20_000_000;

interface TurnProps {
  turn: RequestRow;
  before: RequestRow | undefined;
  turns: Turns;
}

/** Returns the address of a body, which a worker can use; `null` if it is not kept, or is too long. */
function bodyUrl(turn: RequestRow | undefined, kind: "asked" | "answered"): string | null {
  const size = kind === "asked" ? turn?.request_bytes : turn?.response_bytes;
  if (!turn || size == null || size > MAX_BYTES) return null;
  return new URL(address(`/api/requests/${turn.id}/body/${kind}`), location.href).href;
}

export function TurnView({ turn, before, turns }: TurnProps) {
  const box = useRef<HTMLElement>(null);
  const seen = useSeen(box);
  const query = useQuery({
    // A pending turn is read again at its end.
    queryKey: ["session-turn", turn.id, before?.id, turn.status],
    enabled: seen,
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
    queryFn: () =>
      turns.read({
        asked: bodyUrl(turn, "asked"),
        answered: bodyUrl(turn, "answered"),
        before: bodyUrl(before, "asked"),
      }),
  });
  const { data } = query;
  const isLong = (turn.request_bytes ?? 0) > MAX_BYTES;
  return (
    <section
      ref={box}
      className={classes(css.turn, !seen && css.unseen)}
      aria-label={`Request of ${timeOfDay(turn.timestamp)}, number ${turn.id}`}
    >
      <Stack>
        <Row className="muted">
          <time title={exactTime(turn.timestamp)}>{timeOfDay(turn.timestamp)}</time>
          <StatusMark status={turn.status} />
          <span>{turn.model}</span>
          <span>{duration(turn.duration_ms)}</span>
          <span title="Tokens of the prompt and of the answer">
            {short(turn.prompt_tokens)} in, {short(turn.completion_tokens)} out
          </span>
          <span title="Cost">{dollars(turn.cost_nanos == null ? null : turn.cost_nanos / 1e9)}</span>
          {data && data.known > 0 && <span>after {plural(data.known, "message")} as before</span>}
          <Link to="/requests/$id" params={{ id: turn.request_id }} data-row>
            Open
          </Link>
        </Row>
        {query.error && <Failure error={query.error} retry={() => void query.refetch()} />}
        {seen && !data && !query.error && <Loading rows={2} />}
        {isLong && <p className="muted">The request has {bytes(turn.request_bytes)}: open it to read it.</p>}
        {!isLong && turn.request_bytes == null && <p className="muted">What was asked is not kept.</p>}
        {data?.fresh.map((message, at) => (
          <MessageCard key={at} message={message} />
        ))}
        {data?.answer.map((message, at) => (
          <MessageCard key={at} message={message} note="the answer" />
        ))}
        {turn.error && <p className={css.error}>{turn.error}</p>}
      </Stack>
    </section>
  );
}
