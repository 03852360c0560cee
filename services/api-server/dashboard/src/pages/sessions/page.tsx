import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { type ReactNode, useCallback, useState } from "react";
import { api, data } from "../../api/client";
import { queryClient } from "../../api/queries";
import { facetsQuery } from "../../api/request-list";
import { sessionListQuery, sessionSearchQuery } from "../../api/session-list";
import { plural } from "../../format/numbers";
import { Button, buttonClass } from "../../parts/button";
import { ask } from "../../parts/dialog";
import { SearchField, Select } from "../../parts/field";
import { Card, Empty, Loaded, Page, Table } from "../../parts/layout";
import { toast } from "../../parts/toast";
import { ChoiceFilter } from "../requests/choice";
import css from "../requests/requests.module.css";
import { sessionsOf } from "./found";
import type { SessionsSearch } from "./search";
import { SessionRow } from "./session-row";

const route = getRouteApi("/sessions");

export default function Sessions() {
  const search = route.useSearch();
  const { sort, q, model } = search;
  const navigate = useNavigate({ from: "/sessions" });
  const change = useCallback(
    (changes: SessionsSearch) => {
      const next = Object.entries({ ...search, ...changes }).filter(([, value]) => value !== undefined && value !== "");
      void navigate({ search: Object.fromEntries(next), replace: "q" in changes });
    },
    [search, navigate],
  );
  const commit = useCallback((q: string) => change({ q }), [change]);
  const [wanted, setWanted] = useState(false);
  const facets = useQuery({ ...facetsQuery({ range: "any" }), enabled: wanted });
  const isSearch = q !== undefined || model !== undefined;
  return (
    <Page
      title="Sessions"
      wide
      about="Requests that belong to one conversation, by the session id of the client or by their messages."
      actions={<Button onClick={askToCleanUp}>Remove expired</Button>}
    >
      <div className={css.filters}>
        <SearchField label="Search in questions and answers" value={q ?? ""} onCommit={commit} />
        <ChoiceFilter
          name="Model"
          any="Any model"
          value={model}
          options={(facets.data?.models ?? []).filter(({ value }) => value !== "")}
          onChange={(model) => change({ model })}
          onOpen={() => setWanted(true)}
        />
        {!isSearch && (
          <Select
            aria-label="Order"
            value={sort ?? "created_at"}
            onChange={(value) => change({ sort: value as SessionsSearch["sort"] })}
            options={[
              ["created_at", "Newest first"],
              ["last_accessed", "Last used first"],
            ]}
          />
        )}
        {isSearch && (
          <Button kind="quiet" onClick={() => change({ q: undefined, model: undefined })}>
            Clear filters
          </Button>
        )}
      </div>
      {isSearch ? <Found search={search} /> : <All sort={sort} />}
    </Page>
  );
}

function All({ sort }: Pick<SessionsSearch, "sort">) {
  const query = useInfiniteQuery(sessionListQuery(sort));
  return (
    <>
      <Card flush>
        <Loaded query={query} rows={8}>
          {({ pages }) => {
            const sessions = pages.flatMap((page) => page.sessions);
            return sessions.length === 0 ? (
              <Empty
                title="No session yet"
                action={
                  <Link to="/connect" className={buttonClass("primary")}>
                    Connect a client
                  </Link>
                }
              >
                A session begins with the first request of a conversation.
              </Empty>
            ) : (
              <Sheet>
                {sessions.map((session) => (
                  <SessionRow key={session.id} id={session.id} session={session} />
                ))}
              </Sheet>
            );
          }}
        </Loaded>
      </Card>
      {query.hasNextPage && (
        <div>
          <Button pending={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            Show older sessions
          </Button>
        </div>
      )}
    </>
  );
}

function Found({ search }: { search: SessionsSearch }) {
  const query = useInfiniteQuery(sessionSearchQuery(search));
  return (
    <>
      <Card flush>
        <Loaded query={query} rows={8}>
          {({ pages }) => {
            const sessions = sessionsOf(pages.flatMap((page) => page.found));
            const read = pages.reduce((sum, page) => sum + page.scanned, 0);
            return (
              <>
                <p role="status" className="muted" style={{ padding: "8px 16px" }}>
                  {plural(sessions.length, "session")} found in {plural(read, "request")}
                  {query.hasNextPage && ", so far"}
                </p>
                {sessions.length === 0 ? (
                  <Empty title="Nothing matches">
                    {query.hasNextPage
                      ? "None of the newest requests has all of this. Search on for older ones."
                      : "No request in the log has all of this. Drop a filter."}
                  </Empty>
                ) : (
                  <Sheet>
                    {sessions.map((found) => (
                      <SessionRow key={found.id} id={found.id} found={found} />
                    ))}
                  </Sheet>
                )}
              </>
            );
          }}
        </Loaded>
      </Card>
      {query.hasNextPage && (
        <div>
          <Button pending={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            Search on
          </Button>
        </div>
      )}
    </>
  );
}

function Sheet({ children }: { children: ReactNode }) {
  return (
    <Table
      label="Sessions"
      head={
        <>
          <th>First message, and the last answer</th>
          <th className="numeric">Requests</th>
          <th className="numeric">Tokens in</th>
          <th className="numeric">Tokens out</th>
          <th className="numeric" title="Known costs; + where some are unknown">
            Cost
          </th>
          <th>Began</th>
          <th>Last used</th>
        </>
      }
    >
      {children}
    </Table>
  );
}

function askToCleanUp(): void {
  ask({
    title: "Remove expired sessions?",
    text: "Sessions whose time has passed are deleted with their requests.",
    action: "Remove",
    danger: true,
    run: async () => {
      const { deleted } = await data(api.DELETE("/api/sessions"));
      await queryClient.invalidateQueries({ queryKey: ["sessions"] });
      toast(deleted === 0 ? "No session had expired" : `${plural(deleted, "session")} removed`, { kind: "ok" });
    },
  });
}
