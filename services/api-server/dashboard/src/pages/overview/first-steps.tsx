/** What is left until a client gets an answer. */

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { providersQuery, requestsQuery } from "../../api/queries";
import { setPreferences } from "../../app/preferences";
import { phase } from "../../lifecycle/reducer";
import { useServices } from "../../lifecycle/store";
import { Button, buttonClass, classes } from "../../parts/button";
import { Snippet } from "../../parts/copy";
import { Check, Circle } from "../../parts/icons";
import { Card } from "../../parts/layout";
import { useBase } from "../connect/base";
import { curl } from "../connect/curl";
import css from "./overview.module.css";

export function FirstSteps() {
  const router = useServices((state) => state["provider-router"]);
  const { data: providers } = useQuery(providersQuery);
  const recent = useInfiniteQuery({ ...requestsQuery({}, 8), queryKey: ["requests", "recent"] as never });
  const base = useBase();
  if (router.status === null || !providers || recent.data === undefined) return null;
  const usable = providers.filter((provider) => provider.enabled);
  const real = usable.some((provider) => provider.type !== "echo" && provider.id !== "qwen-proxy-default");
  const answered = (recent.data.pages[0]?.requests.length ?? 0) > 0;
  const steps = [
    {
      done: phase(router) === "running",
      title: "The router runs",
      more: "Start it with the button above.",
      action: null,
    },
    {
      done: real,
      title: "Add a provider",
      more: usable.some(({ type }) => type === "echo")
        ? "Until then, the model echo repeats what you say: it works without a key."
        : "It needs an address, and a key if the service asks for one.",
      action: (
        <Link to="/providers/new" className={buttonClass("default", true)}>
          Add a provider
        </Link>
      ),
    },
    {
      done: answered,
      title: "Send a first request",
      more: <Snippet wrap label="command" text={curl(base, "echo")} />,
      action: null,
    },
    {
      done: false,
      title: "Connect your client",
      more: "Copy the lines for your editor, agent or SDK.",
      action: (
        <Link to="/connect" className={buttonClass("default", true)}>
          Show how
        </Link>
      ),
    },
  ];
  const left = steps.filter((step) => !step.done).length;
  return (
    <Card
      title="First steps"
      actions={
        <Button kind="quiet" small onClick={() => setPreferences({ firstSteps: false })}>
          {left <= 1 ? "Done, hide" : "Hide"}
        </Button>
      }
    >
      <ol className={css.steps}>
        {steps.map(({ done, title, more, action }) => (
          <Step key={title} done={done} title={title} more={more} action={action} />
        ))}
      </ol>
    </Card>
  );
}

function Step({ done, title, more, action }: { done: boolean; title: string; more: ReactNode; action: ReactNode }) {
  return (
    <li className={classes(css.step, done && css.done)}>
      {done ? (
        <Check size={18} color="var(--ok)" aria-label="Done:" />
      ) : (
        <Circle size={18} color="var(--faint)" aria-label="To do:" />
      )}
      <strong>{title}</strong>
      {!done && action}
      {!done && (typeof more === "string" ? <p>{more}</p> : <div style={{ gridColumn: "2 / -1" }}>{more}</div>)}
    </li>
  );
}
