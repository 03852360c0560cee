/** What waits for a restart of the router, with the button that restarts it. */

import { useQuery } from "@tanstack/react-query";
import { create } from "zustand";
import { queryClient } from "../../api/queries";
import { type PendingSetting, pendingSettingsQuery, writeSetting } from "../../api/settings";
import { plural } from "../../format/numbers";
import { command } from "../../lifecycle/commands";
import { useServices } from "../../lifecycle/store";
import { useAction } from "../../parts/action";
import { Button, Row } from "../../parts/button";
import { Failure, Notice } from "../../parts/layout";
import { pendingPort, shownValue } from "./known";

/** Settings that were changed here since the router process began, and are not in force. */
const useWaiting = create<{ keys: string[]; generation: number | null }>(() => ({ keys: [], generation: null }));

/** Notes that a setting was changed that is in force after a restart of the router. */
export function noteWaiting(key: string): void {
  const generation = useServices.getState()["provider-router"].status?.generation ?? null;
  useWaiting.setState((old) => ({
    generation,
    keys: [...new Set([...(old.generation === generation ? old.keys : []), key])],
  }));
}

export function RestartBar({ settings }: { settings: Record<string, unknown> }) {
  const generation = useServices((state) => state["provider-router"].status?.generation ?? null);
  const { data: pending } = useQuery(pendingSettingsQuery(generation));
  if (pending === undefined) return null;
  return pending === null ? <OwnRestartBar settings={settings} /> : <PendingBar pending={pending} />;
}

function PendingBar({ pending }: { pending: PendingSetting[] }) {
  const router = useServices((state) => state["provider-router"]);
  const undo = useAction(
    async () => {
      for (const { key, value, running } of pending) await writeSetting(key, running, { value, etag: null });
    },
    { done: "As it was before", after: () => queryClient.invalidateQueries({ queryKey: ["settings"] }) },
  );
  if (pending.length === 0) return null;
  return (
    <Notice
      tone="warn"
      action={
        <Row>
          <Button
            kind="primary"
            pending={router.pending === "restart" || router.restartingFrom !== null}
            onClick={() => void command("restart", "provider-router")}
          >
            Restart the router now
          </Button>
          <Button pending={undo.pending} onClick={() => undo.run()}>
            Undo
          </Button>
        </Row>
      }
    >
      <strong>{plural(pending.length, "change waits", "changes wait")} for a restart of the router:</strong>{" "}
      {pending.map(({ key, running, value }) => `${key} ${shownValue(running)} → ${shownValue(value)}`).join(", ")}.
      Running requests are finished first.
      {undo.problem && <Failure title="Not undone." error={undo.problem} />}
    </Notice>
  );
}

/** Stands in for a server that does not tell what waits: it knows what was changed here. */
function OwnRestartBar({ settings }: { settings: Record<string, unknown> }) {
  const router = useServices((state) => state["provider-router"]);
  const waiting = useWaiting();
  const port = pendingPort(settings, router.status);
  const same = router.status?.state === "running" && waiting.generation === router.status.generation;
  const others = same ? waiting.keys.filter((key) => key !== "server.port") : [];
  if (port === null && others.length === 0) return null;
  return (
    <Notice
      tone="warn"
      action={
        <Button
          kind="primary"
          pending={router.pending === "restart" || router.restartingFrom !== null}
          onClick={() => void command("restart", "provider-router")}
        >
          Restart the router now
        </Button>
      }
    >
      <strong>In force after a restart of the router:</strong>{" "}
      {[...(port === null ? [] : [port]), ...others].join(", ")}. Running requests are finished first.
    </Notice>
  );
}
