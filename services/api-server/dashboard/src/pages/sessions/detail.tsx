/** A session as one conversation: of each request, only what is new in it. */

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { api, data, type Schemas } from "../../api/client";
import { queryClient, sessionQuery, sessionRequestsQuery, sessionResponsesQuery } from "../../api/queries";
import { clipped, plural } from "../../format/numbers";
import { duration, exactTime, timeOfDay } from "../../format/time";
import { Button, Row } from "../../parts/button";
import { CopyButton } from "../../parts/copy";
import { ask } from "../../parts/dialog";
import { Trash2 } from "../../parts/icons";
import { Empty, Loaded, Page, Stack } from "../../parts/layout";
import { toast } from "../../parts/toast";
import { answeredMessages, askedMessages } from "../requests/conversation";
import { MessageCard } from "../requests/messages";
import { StatusMark } from "../requests/status-mark";
import { newMessages } from "./turns";

const route = getRouteApi("/sessions/$id");

type Turn = Schemas["SessionRequests"]["requests"][number];
type Answer = Schemas["ResponseList"]["responses"][number];

export default function SessionPage() {
  const { id } = route.useParams();
  const navigate = useNavigate();
  const session = useQuery(sessionQuery(id));
  const requests = useInfiniteQuery(sessionRequestsQuery(id));
  const responses = useInfiniteQuery(sessionResponsesQuery(id));
  const answers = new Map(
    responses.data?.pages.flatMap((page) => page.responses).map((response) => [response.request_id, response]),
  );
  const loadEarlier = () => {
    void requests.fetchNextPage();
    if (responses.hasNextPage) void responses.fetchNextPage();
  };
  return (
    <Page
      title={clipped(session.data?.first_user_message ?? "", 60) || "Session"}
      back={{ to: "/sessions", label: "Sessions" }}
      about={
        session.data && (
          <>
            {plural(session.data.request_count, "request")} · began <time>{exactTime(session.data.created_at)}</time> ·{" "}
            <Link to="/requests" search={{ session: id }}>
              as a list
            </Link>{" "}
            · <code className="break">{id}</code> <CopyButton small text={id} label="Copy session id" />
          </>
        )
      }
      actions={
        session.data && (
          <Button kind="danger" icon={Trash2} onClick={() => askToDelete(id, () => navigate({ to: "/sessions" }))}>
            Delete
          </Button>
        )
      }
    >
      <Loaded query={session} rows={2}>
        {() => null}
      </Loaded>
      <Loaded query={requests} rows={8}>
        {({ pages }) => {
          // The API has the newest first; a conversation reads from its beginning.
          const turns = pages.flatMap((page) => page.requests).sort((a, b) => a.timestamp - b.timestamp || a.id - b.id);
          return (
            <Stack>
              {requests.hasNextPage && (
                <Row>
                  <Button pending={requests.isFetchingNextPage} onClick={loadEarlier}>
                    Show earlier requests
                  </Button>
                </Row>
              )}
              {turns.length === 0 && (
                <Empty title="Its requests are gone">They were deleted, or are older than the log keeps.</Empty>
              )}
              {turns.map((turn, at) => (
                <TurnView key={turn.id} turn={turn} answer={answers.get(turn.id)} before={turns[at - 1]} />
              ))}
            </Stack>
          );
        }}
      </Loaded>
    </Page>
  );
}

function TurnView({ turn, answer, before }: { turn: Turn; answer: Answer | undefined; before: Turn | undefined }) {
  const asked = askedMessages(turn.openai_request);
  const { known, fresh } = newMessages(before ? askedMessages(before.openai_request) : [], asked);
  return (
    <Stack>
      <Row className="muted">
        <time title={exactTime(turn.timestamp)}>{timeOfDay(turn.timestamp)}</time>
        <StatusMark status={turn.status} />
        <span>{turn.model}</span>
        <span>{duration(answer?.duration_ms)}</span>
        {known > 0 && <span>after {plural(known, "message")} as before</span>}
        <Link to="/requests/$id" params={{ id: turn.request_id }} data-row>
          Open
        </Link>
      </Row>
      {fresh.map((message, at) => (
        <MessageCard key={at} message={message} />
      ))}
      {answeredMessages(answer?.openai_response).map((message, at) => (
        <MessageCard key={at} message={message} note="the answer" />
      ))}
    </Stack>
  );
}

function askToDelete(id: string, leave: () => Promise<unknown>): void {
  ask({
    title: "Delete this session?",
    text: "The session is deleted with all its requests and answers.",
    action: "Delete",
    danger: true,
    run: async () => {
      await data(api.DELETE("/api/sessions/{id}", { params: { path: { id } } }));
      await leave();
      void queryClient.invalidateQueries({ queryKey: ["sessions"] });
      toast("The session was deleted", { kind: "ok" });
    },
  });
}
