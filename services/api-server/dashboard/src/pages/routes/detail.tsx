import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { type RouteView, routeQuery } from "../../api/access-queries";
import { api, data } from "../../api/client";
import { queryClient } from "../../api/queries";
import { exactTime, timeOfDay } from "../../format/time";
import { Button, buttonClass } from "../../parts/button";
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
        {(stored) => <Stored key={id} stored={stored} />}
      </Loaded>
    </Page>
  );
}

/** Edits the version that was shown first, so that input survives changes from elsewhere. */
function Stored({ stored }: { stored: RouteView }) {
  const [base, setBase] = useState(stored);
  const initial = useMemo(() => draftOf(base), [base]);
  return (
    <>
      {stored.updated_at > base.updated_at && (
        <Notice
          tone="warn"
          action={
            <Button small onClick={() => setBase(stored)}>
              Show the stored one
            </Button>
          }
        >
          The route was changed elsewhere at {timeOfDay(stored.updated_at)}. Saving replaces that change.
        </Notice>
      )}
      {!base.enabled && <Notice tone="warn">It is disabled: no request is routed by it.</Notice>}
      <RouteEditor
        key={base.updated_at}
        initial={initial}
        problems={stored.problems}
        exists
        save={async (body) => {
          const params = { path: { id: base.id } };
          const saved = (await data(api.PUT("/api/routes/{id}", { params, body: body as never }))) as RouteView;
          queryClient.setQueryData(routeQuery(base.id).queryKey, saved);
          setBase(saved);
          await refreshRoutes();
        }}
      />
    </>
  );
}
