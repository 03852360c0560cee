import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { statusQuery } from "../../api/queries";
import { useTopic } from "../../api/topics";
import { usePreferences } from "../../app/preferences";
import { command } from "../../lifecycle/commands";
import { phase } from "../../lifecycle/reducer";
import { SERVICES, useServices } from "../../lifecycle/store";
import { Button } from "../../parts/button";
import { ask } from "../../parts/dialog";
import { Grid, Loaded, Notice, Page } from "../../parts/layout";
import { NewestFailures } from "./failures";
import { LastHour } from "./hour";
import { NewestRequests } from "./recent";
import { Refused, ServiceCard } from "./service-card";

// Few need them after the first hour.
const FirstSteps = lazy(() => import("./first-steps"));

/** Names of the services in the events. */
const STATS_OF = { "provider-router": "providerRouter", "qwen-proxy": "qwenProxy" } as const;

export default function Overview() {
  const status = useQuery(statusQuery);
  const processes = useTopic("process", { keep: 30 });
  const firstSteps = usePreferences((state) => state.firstSteps);
  return (
    <Page title="Overview" actions={<BothServices />}>
      <Loaded query={status} rows={6}>
        {({ database }) =>
          database !== "ok" && (
            <Notice tone="bad">
              <strong>The database does not answer.</strong> Requests are still served from what is known; changes are
              refused until it is back.
            </Notice>
          )
        }
      </Loaded>
      <Refused />
      <Grid>
        {SERVICES.map((service) => (
          <ServiceCard
            key={service}
            service={service}
            stats={processes.map((event) => event[STATS_OF[service]]?.stats)}
          />
        ))}
      </Grid>
      {firstSteps && (
        <Suspense>
          <FirstSteps />
        </Suspense>
      )}
      <Grid>
        <LastHour />
        <NewestFailures />
      </Grid>
      <NewestRequests />
    </Page>
  );
}

function BothServices() {
  const router = useServices((state) => state["provider-router"]);
  const qwen = useServices((state) => state["qwen-proxy"]);
  const known = router.status !== null && qwen.status !== null;
  const pending = router.pending ?? qwen.pending;
  if (!known) return null;
  const idle = [router, qwen].filter((service) => ["stopped", "error"].includes(phase(service)));
  return (
    <>
      {idle.length === 2 && (
        <Button kind="primary" pending={pending === "start"} onClick={() => void command("start", null)}>
          Start both
        </Button>
      )}
      {idle.length < 2 && (
        <Button
          sends
          pending={pending === "stop"}
          onClick={() =>
            ask({
              title: "Stop both services?",
              text: "Clients get no answers until they are started again. Running requests are finished first.",
              action: "Stop both",
              danger: true,
              run: () => command("stop", null),
            })
          }
        >
          Stop both
        </Button>
      )}
    </>
  );
}
