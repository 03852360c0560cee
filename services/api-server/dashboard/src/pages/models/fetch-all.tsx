/** Asks all providers for their models. */

import { api, data } from "../../api/client";
import { queryClient } from "../../api/queries";
import { count, plural } from "../../format/numbers";
import { useAction } from "../../parts/action";
import { Button } from "../../parts/button";
import { RefreshCw } from "../../parts/icons";
import { Failure, Notice } from "../../parts/layout";

interface SyncResult {
  success?: boolean;
  error?: string;
  totalModels?: number;
  modelsAdded?: number;
}

/** Shows what each provider has answered. */
export function FetchAll() {
  const sync = useAction(() => data(api.POST("/api/models/sync")), {
    after: () =>
      Promise.all([
        queryClient.invalidateQueries({ queryKey: ["models"] }),
        queryClient.invalidateQueries({ queryKey: ["providers"] }),
      ]),
  });
  const results = Object.entries((sync.result?.results ?? {}) as Record<string, SyncResult>);
  const failed = results.some(([, result]) => !result.success);
  return (
    <>
      <Button kind="primary" icon={RefreshCw} pending={sync.pending} onClick={() => sync.run()}>
        Fetch from all providers
      </Button>
      {sync.problem && <Failure title="The models could not be fetched." error={sync.problem} />}
      {results.length > 0 && (
        <div style={{ flexBasis: "100%" }}>
          <Notice
            tone={failed ? "warn" : "ok"}
            action={
              <Button small onClick={sync.reset}>
                Close
              </Button>
            }
          >
            <ul>
              {results.map(([id, result]) => (
                <li key={id}>
                  <strong>{id}</strong>:{" "}
                  {result.success
                    ? `${plural(result.totalModels ?? 0, "model")}, ${count(result.modelsAdded)} new`
                    : result.error}
                </li>
              ))}
            </ul>
          </Notice>
        </div>
      )}
    </>
  );
}
