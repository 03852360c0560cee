/** A session as one conversation: of each request, only what is new in it. */

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { api, data } from "../../api/client";
import { queryClient, sessionQuery } from "../../api/queries";
import type { RequestRow } from "../../api/request-list";
import { sessionSumsQuery, turnsQuery } from "../../api/session-list";
import { clipped, count, percent, plural } from "../../format/numbers";
import { duration, exactTime, UNKNOWN } from "../../format/time";
import { Button, Row } from "../../parts/button";
import { CopyButton } from "../../parts/copy";
import { ask } from "../../parts/dialog";
import { Trash2 } from "../../parts/icons";
import { Card, Empty, Facts, Loaded, Page, Stack } from "../../parts/layout";
import { toast } from "../../parts/toast";
import { startTurns, type Turns } from "../../workers/start-turns";
import { costWords } from "./session-row";
import { TurnView } from "./turn-view";

const route = getRouteApi("/sessions/$id");

export default function SessionPage() {
  const { id } = route.useParams();
  const navigate = useNavigate();
  const session = useQuery(sessionQuery(id));
  const requests = useInfiniteQuery(turnsQuery(id));
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
        {({ prompt_cache }) => <Sums id={id} cached={prompt_cache.share ?? null} />}
      </Loaded>
      <Loaded query={requests} rows={8}>
        {({ pages }) => (
          <Conversation
            rows={pages.flatMap(({ turns }) => turns)}
            more={requests.hasNextPage}
            loading={requests.isFetchingNextPage}
            loadMore={() => void requests.fetchNextPage()}
          />
        )}
      </Loaded>
    </Page>
  );
}

/** Shows the sums of the session. */
function Sums({ id, cached }: { id: string; cached: number | null }) {
  const query = useQuery(sessionSumsQuery(id));
  const sums = query.data;
  return (
    <Card>
      <Facts
        facts={[
          [
            "Answers",
            sums ? `${count(sums.total_responses)}, ${percent(sums.success_rate)} without an error` : UNKNOWN,
          ],
          ["Tokens", `${count(sums?.total_prompt_tokens)} in, ${count(sums?.total_completion_tokens)} out`],
          ["Read from caches", cached === null ? UNKNOWN : `${percent(100 * cached)} of the prompts`],
          [
            "Cost",
            sums && sums.unpriced > 0
              ? `${costWords(sums)}, ${plural(sums.unpriced, "answer")} without a known cost`
              : costWords(sums),
          ],
          ["Mean time", duration(sums?.avg_duration_ms)],
        ]}
      />
    </Card>
  );
}

/** Returns the turns in the order of the conversation, each with the one before it. */
export function inOrder(rows: RequestRow[], more: boolean): { turn: RequestRow; before: RequestRow | undefined }[] {
  const turns = rows.toSorted((a, b) => a.timestamp - b.timestamp || a.id - b.id);
  const pairs = turns.map((turn, at) => ({ turn, before: turns[at - 1] }));
  // What is new in the oldest one is known once the one before it is.
  return more ? pairs.slice(1) : pairs;
}

interface ConversationProps {
  rows: RequestRow[];
  more: boolean;
  loading: boolean;
  loadMore: () => void;
}

function Conversation({ rows, more, loading, loadMore }: ConversationProps) {
  const [turns, setTurns] = useState<Turns | null>(null);
  useEffect(() => {
    const started = startTurns();
    setTurns(started);
    return started.end;
  }, []);
  if (rows.length === 0) {
    return <Empty title="Its requests are gone">They were deleted, or are older than the log keeps.</Empty>;
  }
  return (
    <Stack>
      {more && (
        <Row>
          <Button pending={loading} onClick={loadMore}>
            Show earlier requests
          </Button>
        </Row>
      )}
      {turns !== null &&
        inOrder(rows, more).map(({ turn, before }) => (
          <TurnView key={turn.id} turn={turn} before={before} turns={turns} />
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
