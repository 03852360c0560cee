/** What can be done to a stored route. */

import { type RouteView, routeQuery } from "../../api/access-queries";
import { api, data } from "../../api/client";
import { deleting, queryClient } from "../../api/queries";
import { ifMatch } from "../../api/versions";
import { ask } from "../../parts/dialog";
import { toast } from "../../parts/toast";

/** Reads all routes again. */
export async function refreshRoutes(): Promise<void> {
  await queryClient.invalidateQueries({ queryKey: ["routes"] });
}

/** Switches a route on or off, and leaves the rest as it is stored: the list may show an earlier version. */
export async function setEnabled({ id }: RouteView, enabled: boolean): Promise<void> {
  const { etag, ...stored } = await queryClient.fetchQuery({ ...routeQuery(id), staleTime: 0 });
  const params = { path: { id } };
  await data(api.PUT("/api/routes/{id}", { params, body: { ...stored, enabled } as never, headers: ifMatch(etag) }));
  await refreshRoutes();
}

export function askToDelete(route: RouteView, after: () => unknown = () => undefined): void {
  ask({
    title: `Delete the route ${route.model}?`,
    text: "Its names are then served by the providers that have a model of that name, or by none.",
    action: "Delete",
    danger: true,
    run: async () => {
      await deleting(route.id, data(api.DELETE("/api/routes/{id}", { params: { path: { id: route.id } } })));
      await after();
      void refreshRoutes();
      toast(`The route ${route.model} was deleted`, { kind: "ok" });
    },
  });
}
