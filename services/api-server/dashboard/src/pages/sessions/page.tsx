import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { api, data } from "../../api/client";
import { queryClient, sessionsQuery } from "../../api/queries";
import { clipped, count, plural } from "../../format/numbers";
import { age, exactTime } from "../../format/time";
import { Button, buttonClass } from "../../parts/button";
import { ask } from "../../parts/dialog";
import { Select } from "../../parts/field";
import { Card, Empty, Loaded, Page, Table } from "../../parts/layout";
import { toast } from "../../parts/toast";
import type { SessionsSearch } from "./search";

const route = getRouteApi("/sessions");

export default function Sessions() {
  const { sort } = route.useSearch();
  const navigate = useNavigate({ from: "/sessions" });
  const query = useInfiniteQuery(sessionsQuery(sort));
  return (
    <Page
      title="Sessions"
      about="Requests that belong to one conversation, by the session id of the client or by their messages."
      actions={
        <>
          <Select
            aria-label="Order"
            value={sort ?? "created_at"}
            onChange={(value) => void navigate({ search: { sort: value as SessionsSearch["sort"] } })}
            options={[
              ["created_at", "Newest first"],
              ["last_accessed", "Last used first"],
            ]}
          />
          <Button onClick={askToCleanUp}>Remove expired</Button>
        </>
      }
    >
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
              <Table
                label="Sessions"
                head={
                  <>
                    <th>First message</th>
                    <th className="numeric">Requests</th>
                    <th>Began</th>
                    <th>Last used</th>
                  </>
                }
              >
                {sessions.map((session) => (
                  <tr key={session.id}>
                    <td className="break">
                      <Link to="/sessions/$id" params={{ id: session.id }} data-row>
                        {clipped(session.first_user_message, 100) || session.id}
                      </Link>
                    </td>
                    <td className="numeric" data-label="Requests">
                      {count(session.message_count)}
                    </td>
                    <td className="nowrap muted" data-label="Began">
                      <time title={exactTime(session.created_at)}>{age(session.created_at)}</time>
                    </td>
                    <td className="nowrap muted" data-label="Last used">
                      <time title={exactTime(session.last_accessed)}>{age(session.last_accessed)}</time>
                    </td>
                  </tr>
                ))}
              </Table>
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
    </Page>
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
