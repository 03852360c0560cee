import { api, data } from "../../api/client";
import { queryClient } from "../../api/queries";
import { ask } from "../../parts/dialog";
import { toast } from "../../parts/toast";

/** Deletes a provider once it is confirmed. `leave` shows the list instead of the page of the provider. */
export function askToDelete({ id, name }: { id: string; name: string }, leave: () => Promise<unknown>): void {
  ask({
    title: `Delete ${name}?`,
    text: "Its configuration, keys and links to models are deleted. Its requests stay in the log.",
    action: "Delete",
    danger: true,
    typed: id,
    run: async () => {
      await data(api.DELETE("/api/providers/{id}", { params: { path: { id } } }));
      await queryClient.invalidateQueries({ queryKey: ["providers"], refetchType: "none" });
      await leave();
      void queryClient.refetchQueries({ queryKey: ["providers"], exact: true });
      toast(`${name} was deleted`, { kind: "ok" });
    },
  });
}
