import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";
import { type RequestDetail, requestQuery } from "../../api/request";
import { useKey } from "../../app/keys";
import { Loaded, Notice, Page, Stack } from "../../parts/layout";
import { Tabs } from "../../parts/tabs";
import { toast } from "../../parts/toast";
import { RequestActions } from "./actions";
import { ConversationTab, ToolsTab } from "./conversation-tab";
import { ExplainTab } from "./explain";
import { neighbourOf } from "./neighbours";
import { RawTab } from "./raw";
import { type RequestSearch, STATUSES, type TABS } from "./search";
import { statusWords } from "./status-mark";
import { Summary } from "./summary";
import { TimingTab } from "./timing";
import { Usage } from "./usage";

const route = getRouteApi("/requests/$id");

/** Milliseconds between two looks at a request that is being answered. */
const LOOK_EVERY = 1_000;

const TAB_NAMES: readonly (readonly [(typeof TABS)[number], string])[] = [
  ["messages", "Messages"],
  ["tools", "Tools"],
  ["timing", "Timing"],
  ["explain", "Explain"],
  ["usage", "Usage and cost"],
  ["raw", "Raw"],
];

export default function RequestPage() {
  const { id } = route.useParams();
  const search = route.useSearch();
  const { tab = "messages", body, find = "" } = search;
  const navigate = useNavigate({ from: "/requests/$id" });
  const query = useQuery({
    ...requestQuery(id),
    refetchInterval: ({ state }) => (state.data?.status === "pending" ? LOOK_EVERY : false),
  });
  const request = query.data;
  useNeighbourKeys(id, search.tab);
  const go = useCallback((search: RequestSearch) => void navigate({ search, replace: true }), [navigate]);
  const onFind = useCallback((find: string) => go({ tab, find: find === "" ? undefined : find }), [go, tab]);
  return (
    <Page
      title={request ? `${request.model || "Request"}: ${statusWords(request.status)}` : "Request"}
      heading={request ? request.model || "Request without a model" : "Request"}
      back={{ to: "/requests", label: "Requests" }}
      about={request && <Summary request={request} />}
      actions={request && <RequestActions request={request} />}
    >
      <Loaded query={query} rows={8}>
        {(request) => (
          <Stack>
            <Outcome request={request} />
            <Tabs label="Views of the request" current={tab} onChange={(next) => go({ tab: next })} tabs={TAB_NAMES}>
              <div style={{ paddingTop: 12 }}>
                {tab === "messages" && <ConversationTab request={request} find={find} onFind={onFind} />}
                {tab === "tools" && <ToolsTab request={request} />}
                {tab === "timing" && <TimingTab request={request} />}
                {tab === "explain" && <ExplainTab request={request} />}
                {tab === "usage" && <Usage request={request} />}
                {tab === "raw" && <RawTab request={request} body={body} onBody={(body) => go({ tab, body })} />}
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

function Outcome({ request }: { request: RequestDetail }) {
  const meaning = STATUSES[request.status as keyof typeof STATUSES];
  const error = request.response?.error ?? request.error;
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
