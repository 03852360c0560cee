import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { routeQuery } from "../../api/access-queries";
import { api, data } from "../../api/client";
import { Loaded, Page } from "../../parts/layout";
import { refreshRoutes } from "./actions";
import { RouteEditor } from "./editor";
import { copyOf, emptyDraft, type RouteDraft } from "./form";

const route = getRouteApi("/routes/new");

export default function NewRoute() {
  const { copy } = route.useSearch();
  return (
    <Page title={copy ? "Duplicate a route" : "Add a route"} back={{ to: "/routes", label: "Routes" }}>
      {copy ? <Copied key={copy} id={copy} /> : <Editor initial={EMPTY} />}
    </Page>
  );
}

const EMPTY = emptyDraft();

function Copied({ id }: { id: string }) {
  const query = useQuery({ ...routeQuery(id), staleTime: Number.POSITIVE_INFINITY });
  return (
    <Loaded query={query} rows={8}>
      {(original) => <Editor initial={copyOf(original)} />}
    </Loaded>
  );
}

function Editor({ initial }: { initial: RouteDraft }) {
  const navigate = useNavigate();
  return (
    <RouteEditor
      initial={initial}
      exists={false}
      name="route.new"
      save={async (body) => {
        const { id } = await data(api.POST("/api/routes", { body: body as never }));
        await refreshRoutes();
        await navigate({ to: "/routes/$id", params: { id }, ignoreBlocker: true });
      }}
    />
  );
}
