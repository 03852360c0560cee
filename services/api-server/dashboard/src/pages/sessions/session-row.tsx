/** A row of the list of sessions. Its sums and its last answer are read when it comes into view. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useRef } from "react";
import type { Schemas } from "../../api/client";
import { asProblem } from "../../api/problem";
import { sessionQuery } from "../../api/queries";
import { lastAnswerQuery, type SessionSums, sessionSumsQuery } from "../../api/session-list";
import { clipped, count, dollars, short } from "../../format/numbers";
import { age, exactTime, UNKNOWN } from "../../format/time";
import type { FoundSession } from "./found";
import { useSeen } from "./seen";

type Session = Schemas["SessionList"]["sessions"][number];

interface RowProps {
  id: string;
  session?: Session | undefined;
  /** What a search has found in it. */
  found?: FoundSession | undefined;
}

export function SessionRow({ id, session, found }: RowProps) {
  const row = useRef<HTMLTableRowElement>(null);
  const seen = useSeen(row);
  // A search finds requests: what they belong to is read one by one.
  const loaded = useQuery({ ...sessionQuery(id), enabled: seen && session === undefined, retry: false });
  const sums = useQuery({ ...sessionSumsQuery(id), enabled: seen });
  const answer = useQuery({ ...lastAnswerQuery(id), enabled: seen });
  const shown = session ?? loaded.data;
  const isGone = loaded.error !== null && asProblem(loaded.error).isNotFound;
  return (
    <tr ref={row}>
      <td className="break">
        {isGone ? (
          <Link to="/requests" search={{ session: id }} data-row>
            {id} <small className="muted">has expired; its requests are still in the log</small>
          </Link>
        ) : (
          <Link to="/sessions/$id" params={{ id }} data-row>
            {(shown && clipped(shown.first_user_message, 100)) || id}
          </Link>
        )}
        {answer.data && <div className="muted">{clipped(answer.data.replace(/\s+/g, " "), 120)}</div>}
        {found && (
          <div className="muted">
            {count(found.requests)} found · {found.models.join(", ")}
          </div>
        )}
      </td>
      <td className="numeric" data-label="Requests">
        {count(shown?.message_count)}
      </td>
      <td className="numeric" data-label="Tokens in">
        {short(sums.data?.total_prompt_tokens)}
      </td>
      <td className="numeric" data-label="Tokens out">
        {short(sums.data?.total_completion_tokens)}
      </td>
      <td className="numeric" data-label="Cost">
        {costWords(sums.data)}
      </td>
      <td className="nowrap muted" data-label="Began">
        <time title={exactTime(shown?.created_at)}>{age(shown?.created_at)}</time>
      </td>
      <td className="nowrap muted" data-label="Last used">
        <time title={exactTime(shown?.last_accessed ?? found?.newest)}>
          {age(shown?.last_accessed ?? found?.newest)}
        </time>
      </td>
    </tr>
  );
}

/** Returns the known costs; `+` says that some are unknown. */
export function costWords(sums: Pick<SessionSums, "total_cost_usd" | "unpriced"> | undefined): string {
  if (!sums) return UNKNOWN;
  const { total_cost_usd, unpriced } = sums;
  if (unpriced > 0 && total_cost_usd === 0) return UNKNOWN;
  return dollars(total_cost_usd) + (unpriced > 0 ? " +" : "");
}
