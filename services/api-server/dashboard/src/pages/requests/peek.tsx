/** A request beside the list: its outcome, the last question, and the answer. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { peekQuery } from "../../api/request-peek";
import { bytes, count, dollars } from "../../format/numbers";
import { duration, exactTime, UNKNOWN } from "../../format/time";
import { buttonClass, IconButton, Row } from "../../parts/button";
import { CopyButton } from "../../parts/copy";
import { X } from "../../parts/icons";
import { Facts, Loaded, Notice } from "../../parts/layout";
import { answeredMessages, askedMessages } from "./conversation";
import css from "./list.module.css";
import { MessageCard } from "./messages";
import { costOf } from "./request-cells";
import { STATUSES } from "./search";
import { StatusMark } from "./status-mark";

interface PeekProps {
  id: string;
  onClose: () => void;
}

export default function Peek({ id, onClose }: PeekProps) {
  const query = useQuery(peekQuery(id));
  return (
    <aside
      className={css.peek}
      aria-label="The request beside the list"
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        onClose();
      }}
    >
      <Row>
        <Link to="/requests/$id" params={{ id }} className={buttonClass("primary", true)}>
          Open
        </Link>
        <CopyButton small text={id} label="Copy request id" />
        <IconButton icon={X} small label="Close (Esc)" onClick={onClose} />
      </Row>
      <Loaded query={query} rows={6}>
        {({ row, asked, answered }) => {
          const question = askedMessages(asked).findLast(({ role }) => role === "user");
          const answer = answeredMessages(answered);
          return (
            <>
              <h2>{row.model || "Request without a model"}</h2>
              <Facts
                facts={[
                  ["State", <StatusMark key="state" status={row.status} />],
                  ["Meaning", STATUSES[row.status as keyof typeof STATUSES] ?? row.status],
                  ["Arrived", exactTime(row.timestamp)],
                  ["Provider", row.provider_id || UNKNOWN],
                  ["Attempts", count(row.attempts)],
                  ["First byte", duration(row.first_byte_ms)],
                  ["Took", duration(row.duration_ms)],
                  ["Tokens", `${count(row.prompt_tokens)} in, ${count(row.completion_tokens)} out`],
                  ["Cost", dollars(costOf(row))],
                ]}
              />
              {row.error && <Notice tone="bad">{row.error}</Notice>}
              {asked === null && (
                <p className="muted">
                  {row.request_bytes == null
                    ? "The question is not kept."
                    : `The question has ${bytes(row.request_bytes)}. Open the request to read it.`}
                </p>
              )}
              {question && <MessageCard message={question} />}
              {answer.map((message, at) => (
                <MessageCard key={at} message={message} note="the answer" />
              ))}
            </>
          );
        }}
      </Loaded>
    </aside>
  );
}
