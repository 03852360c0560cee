/** A logged request, sent once more, and the two answers beside each other. */

import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";
import { asProblem } from "../../../api/problem";
import { bodyText, type RequestDetail, requestQuery } from "../../../api/request";
import { Card, Empty, Loaded, Page, Stack } from "../../../parts/layout";
import { StatusMark } from "../status-mark";
import { Compare } from "./compare";
import { ReplayForm } from "./form";
import { LiveRun } from "./live-run";
import { editable } from "./plan";
import { SentList } from "./sent-list";
import { useReplay } from "./use-replay";

const route = getRouteApi("/requests/$id/replay");

export default function ReplayPage() {
  const { id } = route.useParams();
  const query = useQuery(requestQuery(id));
  const request = query.data;
  return (
    <Page
      wide
      title={request?.model ? `Replay of ${request.model}` : "Replay"}
      back={{ to: `/requests/${id}` as never, label: "The request" }}
      about={
        request && (
          <>
            <StatusMark status={request.status} /> · asked <code>{request.path}</code> · the original is{" "}
            <Link to="/requests/$id" params={{ id }}>
              <code className="break">{request.request_id}</code>
            </Link>
          </>
        )
      }
    >
      <Loaded query={query} rows={8}>
        {(request) => <Repeatable key={request.request_id} request={request} />}
      </Loaded>
    </Page>
  );
}

/** Whether a body was logged, and what it was. */
function useAsked(id: string) {
  return useQuery({
    queryKey: ["bodies", id, "asked", "text"],
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    queryFn: () => bodyText(id, "asked"),
  });
}

function Repeatable({ request }: { request: RequestDetail }) {
  const asked = useAsked(request.request_id);
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/requests/$id/replay" });
  const onLogged = useCallback(
    (logId: string) => void navigate({ search: (old) => ({ ...old, with: logId }), replace: true }),
    [navigate],
  );
  const { run, sent, start, stop } = useReplay(request.request_id, onLogged);
  if (request.method !== "POST" || !request.path.startsWith("/v1/"))
    return <Empty title="This cannot be repeated">Only requests that a model answers can be sent again.</Empty>;
  if (asked.error != null && asProblem(asked.error).isNotFound)
    return (
      <Empty title="The body was not kept" action={<Link to="/playground">Ask in the playground</Link>}>
        Only what was logged can be sent again: see logBodies of the provider, and logging.logRequests in the settings.
      </Empty>
    );
  const isRunning = run !== null && run.endedAt === null;
  const other = search.with;
  return (
    <Loaded query={asked} rows={6}>
      {(text) => {
        const parts = editable(text);
        return (
          <Stack>
            {parts === null ? (
              <Empty title="This cannot be repeated">The body of the request is no JSON object.</Empty>
            ) : (
              <ReplayForm request={request} {...parts} isRunning={isRunning} onStart={start} onStop={stop} />
            )}
            {run && <LiveRun run={run} onStop={stop} />}
            {sent.length > 0 && <SentList ids={sent} current={other} />}
            {other !== undefined && !isRunning && <Compare original={request} other={other} unit={search.by} />}
            {other === undefined && run === null && (
              <Card>
                <Empty title="Nothing to compare yet">
                  The new answer appears here beside the one in the log, with its tools, tokens, cost and times.
                </Empty>
              </Card>
            )}
          </Stack>
        );
      }}
    </Loaded>
  );
}
