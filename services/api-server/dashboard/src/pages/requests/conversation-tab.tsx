/** The messages of a request and its answer, and the tools that it offers. */

import { useQuery } from "@tanstack/react-query";
import { useDeferredValue, useMemo } from "react";
import { conversationQuery, type ReadBody } from "../../api/bodies";
import { asProblem } from "../../api/problem";
import type { RequestDetail } from "../../api/request";
import { bytes, plural } from "../../format/numbers";
import { Button, Row } from "../../parts/button";
import { SearchField } from "../../parts/field";
import { Empty, Failure, Loaded, Loading, Notice, Stack } from "../../parts/layout";
import type { Message } from "./conversation";
import { messagesWith } from "./find";
import { MessageCard, Messages, Tools } from "./messages";

/** Messages that a search shows at most. */
const MAX_SHOWN = 100;

const NOT_KEPT =
  "Bodies are logged as the provider (logBodies), the key and the settings (logging.logRequests) say. The times, tokens and costs are kept all the same.";

interface TabProps {
  request: RequestDetail;
  find: string;
  onFind: (find: string) => void;
}

export function ConversationTab({ request, find, onFind }: TabProps) {
  const { request_id: id, status } = request;
  const isPending = status === "pending";
  const asked = useQuery(conversationQuery(id, "asked", status));
  const isAnswerKept = request.response_bytes != null;
  const answered = useQuery({
    ...conversationQuery(id, "answered", status),
    enabled: !isPending && isAnswerKept,
  });
  const questions = asked.data?.conversation?.messages;
  const answers = answered.data?.conversation?.messages;
  if (isMissing(asked) && (isPending || !isAnswerKept || isMissing(answered)))
    return <Empty title="No messages were kept">{NOT_KEPT}</Empty>;
  return (
    <Stack>
      {questions && questions.length + (answers?.length ?? 0) > 1 && (
        <SearchField label="Find in the messages" value={find} onCommit={onFind} />
      )}
      {find === "" ? (
        <>
          <Asked query={asked} />
          <Answers query={answered} isPending={isPending} isKept={isAnswerKept} />
        </>
      ) : (
        <Found messages={questions ?? []} answers={answers ?? []} find={find} clear={() => onFind("")} />
      )}
    </Stack>
  );
}

type BodyQuery = { data: ReadBody | undefined; error: unknown; isPending: boolean; refetch: () => unknown };

export function isMissing({ error }: Pick<BodyQuery, "error">): boolean {
  return error != null && asProblem(error).isNotFound;
}

function Asked({ query }: { query: BodyQuery }) {
  if (isMissing(query)) return <Notice>The question was not kept. {NOT_KEPT}</Notice>;
  return (
    <Loaded query={query} rows={8}>
      {({ conversation, bytes }) =>
        conversation === null ? (
          <TooLarge bytes={bytes} />
        ) : conversation.messages.length === 0 ? (
          <Empty title="This is no conversation">The tab Raw has the body as it was sent.</Empty>
        ) : (
          <Messages messages={conversation.messages} />
        )
      }
    </Loaded>
  );
}

function Answers({ query, isPending, isKept }: { query: BodyQuery; isPending: boolean; isKept: boolean }) {
  if (isPending) return <p className="muted">The answer is under way.</p>;
  if (!isKept || isMissing(query)) return <Notice>There is no answer, or it was not kept.</Notice>;
  if (query.error != null)
    return <Failure title="The answer could not be loaded." error={query.error} retry={() => void query.refetch()} />;
  if (query.data === undefined) return <Loading rows={2} />;
  const { conversation, bytes } = query.data;
  if (conversation === null) return <TooLarge bytes={bytes} />;
  return conversation.messages.map((message, at) => <MessageCard key={at} message={message} note="the answer" />);
}

function TooLarge({ bytes: size }: { bytes: number }) {
  return <Notice>The body has {bytes(size)}, and is not shown as messages. The tab Raw saves it.</Notice>;
}

interface FoundProps {
  messages: Message[];
  answers: Message[];
  find: string;
  clear: () => void;
}

function Found({ messages, answers, find, clear }: FoundProps) {
  const wanted = useDeferredValue(find);
  const all = useMemo(() => [...messages, ...answers], [messages, answers]);
  const found = useMemo(() => messagesWith(all, wanted), [all, wanted]);
  return (
    <>
      <Row>
        <span role="status" className="muted">
          {found.length === 0 ? "No message has it." : `${plural(found.length, "message")} of ${all.length} with it.`}
          {found.length > MAX_SHOWN && ` The first ${MAX_SHOWN} are shown.`}
        </span>
        <Button small onClick={clear}>
          Show all messages
        </Button>
      </Row>
      {found.slice(0, MAX_SHOWN).map(({ at, message }) => (
        <MessageCard
          key={at}
          message={message}
          note={at >= messages.length ? "the answer" : `message ${at + 1}`}
          find={wanted}
        />
      ))}
    </>
  );
}

export function ToolsTab({ request }: { request: RequestDetail }) {
  const query = useQuery(conversationQuery(request.request_id, "asked", request.status));
  if (isMissing(query)) return <Empty title="The tools were not kept">{NOT_KEPT}</Empty>;
  return (
    <Loaded query={query}>
      {({ conversation, bytes }) =>
        conversation === null ? (
          <TooLarge bytes={bytes} />
        ) : conversation.tools.length === 0 ? (
          <Empty title="No tools">The request offers the model no tools.</Empty>
        ) : (
          <Tools tools={conversation.tools} />
        )
      }
    </Loaded>
  );
}
