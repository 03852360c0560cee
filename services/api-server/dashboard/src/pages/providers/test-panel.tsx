/** The test of a provider, with what usually helps. */

import { useEffect } from "react";
import { api, data } from "../../api/client";
import { queryClient } from "../../api/queries";
import { plural } from "../../format/numbers";
import { duration } from "../../format/time";
import { useAction } from "../../parts/action";
import { Button, Row } from "../../parts/button";
import { RefreshCw, Zap } from "../../parts/icons";
import { Card, Failure, Notice, Stack } from "../../parts/layout";
import { remedy } from "./form";

/** Provider whose test begins when its page opens. */
let wanted: string | null = null;

export function requestTest(id: string): void {
  wanted = id;
}

export function TestPanel({ id }: { id: string }) {
  const params = { params: { path: { id } } };
  const test = useAction(() => data(api.POST("/api/providers/{id}/test", params)));
  const reload = useAction(() => data(api.POST("/api/providers/{id}/reload", params)), {
    done: "Reloaded in the router",
  });
  const sync = useAction(() => data(api.POST("/api/models/sync/{id}", params)), {
    after: () =>
      Promise.all([
        queryClient.invalidateQueries({ queryKey: ["models"] }),
        queryClient.invalidateQueries({ queryKey: ["providers"] }),
      ]),
  });
  const { run } = test;
  useEffect(() => {
    if (wanted !== id) return;
    wanted = null;
    run();
  }, [id, run]);
  const synced = sync.result?.result as
    | { success?: boolean; totalModels?: number; modelsAdded?: number; linksAdded?: number; error?: string }
    | undefined;
  return (
    <Card title="Try it">
      <Stack>
        <Row>
          <Button icon={Zap} pending={test.pending} onClick={() => test.run()}>
            Test
          </Button>
          <Button
            icon={RefreshCw}
            pending={sync.pending}
            onClick={() => sync.run()}
            title="Asks it for its models, and adds those that are new"
          >
            Fetch its models
          </Button>
          <Button
            pending={reload.pending}
            onClick={() => reload.run()}
            title="Changes are in force within a second by themselves"
          >
            Reload in the router
          </Button>
        </Row>
        {test.problem && <Failure title="Not tested." error={test.problem} />}
        {test.result && <TestResult result={test.result} />}
        {sync.problem && <Failure title="The models could not be fetched." error={sync.problem} />}
        {synced && (
          <Notice tone={synced.success ? "ok" : "bad"}>
            {synced.success
              ? `It has ${plural(synced.totalModels ?? 0, "model")}: ${plural(synced.modelsAdded ?? 0, "new model")}, ${plural(synced.linksAdded ?? 0, "new link")}.`
              : synced.error}
          </Notice>
        )}
        {reload.problem && <Failure title="Not reloaded." error={reload.problem} />}
      </Stack>
    </Card>
  );
}

function TestResult({
  result,
}: {
  result: { healthy: boolean; duration_ms?: number; error?: string; warning?: string };
}) {
  const help = result.error ? remedy(result.error) : null;
  return (
    <Notice tone={result.healthy ? "ok" : "bad"}>
      {result.healthy ? (
        <strong>It answers, in {duration(result.duration_ms)}.</strong>
      ) : (
        <>
          <strong>It does not work yet.</strong> {result.error}
          {help && <p>{help}</p>}
        </>
      )}
      {result.warning && <p>{result.warning}</p>}
    </Notice>
  );
}
