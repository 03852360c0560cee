import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { type RouteView, routeQuery } from "../../api/access-queries";
import { api } from "../../api/client";
import { queryClient } from "../../api/queries";
import { ifMatch, type Versioned, versioned } from "../../api/versions";
import { exactTime, timeOfDay } from "../../format/time";
import { Button, buttonClass } from "../../parts/button";
import { ConflictDialog, useConflict } from "../../parts/conflict";
import { writeDraft } from "../../parts/draft";
import { Copy, Trash2 } from "../../parts/icons";
import { Loaded, Notice, Page } from "../../parts/layout";
import { askToDelete, refreshRoutes } from "./actions";
import { RouteEditor } from "./editor";
import { draftOf } from "./form";

const route = getRouteApi("/routes/$id");

export default function RoutePage() {
  const { id } = route.useParams();
  const navigate = useNavigate();
  const query = useQuery({ ...routeQuery(id), staleTime: 0 });
  const stored = query.data;
  return (
    <Page
      title={stored?.model ?? "Route"}
      back={{ to: "/routes", label: "Routes" }}
      about={stored && <>Changed {exactTime(stored.updated_at)}.</>}
      actions={
        stored && (
          <>
            <Link to="/requests" search={{ model: stored.model }} className={buttonClass()}>
              Its requests
            </Link>
            <Link to="/routes/new" search={{ copy: id }} className={buttonClass()}>
              <Copy size={16} aria-hidden="true" />
              Duplicate
            </Link>
            <Button
              kind="danger"
              icon={Trash2}
              onClick={() => askToDelete(stored, () => navigate({ to: "/routes", ignoreBlocker: true }))}
            >
              Delete
            </Button>
          </>
        )
      }
    >
      <Loaded query={query} rows={8}>
        {(stored) => <StoredRoute key={id} stored={stored} />}
      </Loaded>
    </Page>
  );
}

type Stored = Versioned<RouteView>;

/** Edits the version that was shown first, so that input survives changes from elsewhere. */
function StoredRoute({ stored }: { stored: Stored }) {
  const [base, setBase] = useState(stored);
  const initial = useMemo(() => draftOf(base), [base]);
  const { conflict, close, guard } = useConflict<Stored>();
  const id = base.id;
  const draftName = `route.${id}`;
  const take = (other: Stored) => {
    writeDraft(draftName, null);
    setBase(other);
  };
  const put = async (over: Stored, body: Record<string, unknown>) => {
    const saved = await versioned<RouteView>(
      api.PUT("/api/routes/{id}", { params: { path: { id } }, body: body as never, headers: ifMatch(over.etag) }),
    );
    queryClient.setQueryData(routeQuery(id).queryKey, saved);
    setBase(saved);
    await refreshRoutes();
  };
  return (
    <>
      {conflict && (
        <ConflictDialog
          what="The route"
          base={base}
          now={conflict.now}
          onMine={conflict.mine}
          onTheirs={() => take(conflict.now)}
          onClose={close}
        />
      )}
      {stored.updated_at > base.updated_at && (
        <Notice
          tone="warn"
          action={
            <Button small onClick={() => take(stored)}>
              Show the stored one
            </Button>
          }
        >
          The route was changed elsewhere at {timeOfDay(stored.updated_at)}. Saving asks before it replaces that change.
        </Notice>
      )}
      {!base.enabled && <Notice tone="warn">It is disabled: no request is routed by it.</Notice>}
      <RouteEditor
        key={base.updated_at}
        initial={initial}
        problems={stored.problems}
        exists
        name={draftName}
        version={String(base.updated_at)}
        save={(body) =>
          guard(
            base,
            (over) => put(over, body),
            () => queryClient.fetchQuery({ ...routeQuery(id), staleTime: 0 }),
          )
        }
      />
    </>
  );
}
