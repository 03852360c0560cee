import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo } from "react";
import { api, data, type Schemas } from "../../api/client";
import { queryClient, requestQuery } from "../../api/queries";
import { useKey } from "../../app/keys";
import { age, exactTime } from "../../format/time";
import { CopyButton } from "../../parts/copy";
import { ask } from "../../parts/dialog";
import { Select } from "../../parts/field";
import { Trash2 } from "../../parts/icons";
import { Card, Empty, Loaded, Notice, Page, Stack } from "../../parts/layout";
import { Menu } from "../../parts/menu";
import { Tabs } from "../../parts/tabs";
import { toast } from "../../parts/toast";
import { Viewer } from "../../parts/viewer";
import { useBase } from "../connect/base";
import { answeredMessages, askedMessages, offeredTools } from "./conversation";
import { asCurl } from "./curl";
import { MessageCard, Messages, Tools } from "./messages";
import { neighbourOf } from "./neighbours";
import css from "./requests.module.css";
import { type RequestSearch, STATUSES } from "./search";
import { StatusMark, statusWords } from "./status-mark";
import { Usage } from "./usage";

const route = getRouteApi("/requests/$id");

type Answered = Schemas["AnsweredRequest"];

export default function RequestPage() {
  const { id } = route.useParams();
  const search = route.useSearch();
  const { tab = "messages", body } = search;
  const navigate = useNavigate({ from: "/requests/$id" });
  const query = useQuery(requestQuery(id));
  const base = useBase();
  const request = query.data;
  usePendingRefresh(request, () => void query.refetch());
  useNeighbourKeys(id, search.tab);
  const go = (search: RequestSearch) => void navigate({ search, replace: true });
  return (
    <Page
      title={request ? `${request.model || "Request"}: ${statusWords(request.status)}` : "Request"}
      heading={request ? request.model || "Request without a model" : "Request"}
      back={{ to: "/requests", label: "Requests" }}
      about={request && <Summary request={request} />}
      actions={
        request && (
          <>
            <CopyButton worded label="Copy as curl" text={() => asCurl(base, request)} />
            <Menu
              label="More"
              items={[
                {
                  label: "Show its session",
                  run: () => void navigate({ to: "/sessions/$id", params: { id: request.session_id } }),
                },
                {
                  label: "Requests with this model",
                  run: () => void navigate({ to: "/requests", search: { model: request.model } }),
                },
                {
                  label: "Delete from the log",
                  icon: Trash2,
                  danger: true,
                  run: () => askToDelete(request, () => navigate({ to: "/requests" })),
                },
              ]}
            />
          </>
        )
      }
    >
      <Loaded query={query} rows={8}>
        {(request) => (
          <Stack>
            <Outcome request={request} />
            <Tabs
              label="Views of the request"
              current={tab}
              onChange={(next) => go({ tab: next })}
              tabs={[
                ["messages", "Messages"],
                ["usage", "Usage and cost"],
                ["raw", "Raw"],
              ]}
            >
              <div style={{ paddingTop: 12 }}>
                {tab === "messages" && <Conversation request={request} />}
                {tab === "usage" && <Usage request={request} />}
                {tab === "raw" && <Raw request={request} body={body} onBody={(body) => go({ tab, body })} />}
              </div>
            </Tabs>
          </Stack>
        )}
      </Loaded>
    </Page>
  );
}

function useNeighbourKeys(id: string, tab: RequestSearch["tab"]): void {
  const navigate = useNavigate();
  const step = useCallback(
    async (by: 1 | -1) => {
      const found = await neighbourOf(id, by).catch(() => undefined);
      if (found) await navigate({ to: "/requests/$id", params: { id: found }, search: { tab }, replace: true });
      else toast(`The list has no ${by === 1 ? "earlier" : "later"} request`);
    },
    [id, tab, navigate],
  );
  useKey(
    "[",
    useCallback(() => void step(1), [step]),
  );
  useKey(
    "]",
    useCallback(() => void step(-1), [step]),
  );
}

/** Milliseconds between two looks at a request that is being answered. */
const LOOK_EVERY = 1_000;

function usePendingRefresh(request: Answered | undefined, refetch: () => void): void {
  const pending = request?.status === "pending";
  // biome-ignore lint/correctness/useExhaustiveDependencies: only while it is pending
  useEffect(() => {
    if (!pending) return;
    const timer = setInterval(refetch, LOOK_EVERY);
    return () => clearInterval(timer);
  }, [pending]);
}

function Summary({ request }: { request: Answered }) {
  const { provider_id: provider, request_id: id } = request;
  return (
    <>
      <StatusMark status={request.status} />
      {provider && (
        <>
          {" by "}
          <Link to="/providers/$id" params={{ id: provider }}>
            {provider}
          </Link>
        </>
      )}{" "}
      · <time title={exactTime(request.timestamp)}>{age(request.timestamp)}</time> · <code>{request.path}</code> ·{" "}
      {request.stream ? "streamed" : "whole"} ·{" "}
      <span className={css.withCopy}>
        <code className="break">{id}</code> <CopyButton small text={id} label="Copy request id" />
      </span>
    </>
  );
}

function Outcome({ request }: { request: Answered }) {
  const meaning = STATUSES[request.status as keyof typeof STATUSES];
  const error = request.response?.error;
  if (request.status === "completed" || request.status === "pending") return null;
  return (
    <Notice tone={request.status === "failed" ? "bad" : "warn"}>
      <strong>{sentence(statusWords(request.status))}</strong>
      {meaning && `: ${meaning}`}
      {request.response?.status_code != null && `, with status ${request.response.status_code}`}.{" "}
      {error && sentence(error)}
    </Notice>
  );
}

/** Returns a text that begins with a capital letter. */
function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function Conversation({ request }: { request: Answered }) {
  const asked = request.openai_request;
  const answer = request.response?.openai_response ?? null;
  const messages = useMemo(() => askedMessages(asked), [asked]);
  const answers = useMemo(() => answeredMessages(answer), [answer]);
  const tools = useMemo(() => offeredTools(asked), [asked]);
  if (messages.length === 0 && answers.length === 0) {
    return (
      <Empty title="No messages were kept">
        The body is not a conversation, or bodies are not logged: see logBodies of the provider, and logging.logRequests
        in the settings.
      </Empty>
    );
  }
  return (
    <Stack>
      <Tools tools={tools} />
      <Messages messages={messages} />
      {answers.map((message, at) => (
        <MessageCard key={at} message={message} note="the answer" />
      ))}
      {request.status === "pending" && <p className="muted">The answer is under way.</p>}
    </Stack>
  );
}

function Raw({
  request,
  body = "asked",
  onBody,
}: {
  request: Answered;
  body: string | undefined;
  onBody: (body: string) => void;
}) {
  const bodies: [string, string, unknown][] = [
    ["asked", "Asked: what the client sent", request.openai_request],
    ["sent", "Sent: what the provider got", request.qwen_request],
    ["answered", "Answered: what the client got", request.response?.openai_response],
    ["received", "Received: what the provider answered", request.response?.qwen_response],
  ];
  const kept = bodies.filter(([, , value]) => value !== null && value !== undefined);
  const current = kept.find(([key]) => key === body) ?? kept[0];
  const text = useMemo(() => {
    const value = current?.[2];
    return typeof value === "string" ? value : JSON.stringify(value);
  }, [current]);
  if (!current || text === undefined)
    return <Empty title="No body was kept">Bodies are not logged, or the request has none.</Empty>;
  return (
    <Card>
      <Stack>
        <div style={{ maxWidth: 360 }}>
          <Select
            aria-label="Body"
            value={current[0]}
            onChange={onBody}
            options={kept.map(([key, name]) => [key, name])}
          />
        </div>
        {request.qwen_request === null && current[0] === "asked" && (
          <p className="muted">The provider got the same, except for the name of the model.</p>
        )}
        <Viewer key={current[0]} text={text} name={`${request.request_id}-${current[0]}.json`} label={current[1]} />
      </Stack>
    </Card>
  );
}

function askToDelete(request: Answered, leave: () => Promise<unknown>): void {
  ask({
    title: "Delete this request?",
    text: "The request and its answer are removed from the log, and from all sums.",
    action: "Delete",
    danger: true,
    run: async () => {
      await data(api.DELETE("/api/requests/{id}", { params: { path: { id: request.request_id } } }));
      await leave();
      void queryClient.invalidateQueries({ queryKey: ["requests"] });
      toast("The request was deleted", { kind: "ok" });
    },
  });
}
