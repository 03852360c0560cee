/** What can be done to a stored key. */

import type { KeyView } from "../../api/access-queries";
import { api, data } from "../../api/client";
import { deleting, queryClient } from "../../api/queries";
import { ask } from "../../parts/dialog";
import { toast } from "../../parts/toast";

/** Reads all keys again. */
export async function refreshKeys(): Promise<void> {
  await queryClient.invalidateQueries({ queryKey: ["keys"] });
}

export function askToRevoke(key: KeyView): void {
  ask({
    title: `Revoke ${key.name}?`,
    text: "Requests with this key are refused within a second, for good. It stays in the list.",
    action: "Revoke",
    danger: true,
    run: async () => {
      await data(api.POST("/api/keys/{id}/revoke", { params: { path: { id: key.id } } }));
      void refreshKeys();
      toast(`${key.name} was revoked`, { kind: "ok" });
    },
  });
}

export function askToDelete(key: KeyView, after: () => unknown = () => undefined): void {
  ask({
    title: `Delete ${key.name}?`,
    text: "Requests with this key are refused within a second; those that were sent stay in the log. If it is the last key, a router that only this machine can reach is open again.",
    action: "Delete",
    danger: true,
    typed: key.name,
    run: async () => {
      await deleting(key.id, data(api.DELETE("/api/keys/{id}", { params: { path: { id: key.id } } })));
      await after();
      void refreshKeys();
      toast(`${key.name} was deleted`, { kind: "ok" });
    },
  });
}
