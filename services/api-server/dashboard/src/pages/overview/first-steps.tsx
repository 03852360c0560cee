/** What is left until a client gets an answer. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { linksQuery } from "../../api/links";
import { answeredQuery } from "../../api/overview";
import { loginsQuery, providersQuery } from "../../api/queries";
import { setPreferences } from "../../app/preferences";
import { phase } from "../../lifecycle/reducer";
import { useServices } from "../../lifecycle/store";
import { Button, buttonClass, classes } from "../../parts/button";
import { Snippet } from "../../parts/copy";
import { Check, Circle } from "../../parts/icons";
import { Card, Failure } from "../../parts/layout";
import { useBase } from "../connect/base";
import { curl } from "../connect/curl";
import css from "./overview.module.css";
import { ProviderChoices } from "./provider-choices";
import { chosenOf, type Done, doneOf, type Known, triedModel } from "./steps";
import { TestMessage } from "./test-message";

/** Maximum providers whose models are read; an installation with more is past its first steps. */
const MAX_LOOKED_AT = 10;

export default function FirstSteps() {
  const router = useServices((state) => state["provider-router"]);
  const providers = useQuery(providersQuery);
  const logins = useQuery(loginsQuery);
  const answered = useQuery(answeredQuery);
  const chosen = chosenOf(providers.data ?? [], logins.data?.isValid ?? false);
  const ids = chosen.slice(0, MAX_LOOKED_AT).map(({ id }) => id);
  const links = useQuery({ ...linksQuery(ids), enabled: providers.isSuccess, placeholderData: keepPreviousData });
  const failed = [providers, answered, links].find(({ error, data }) => error !== null && data === undefined);
  if (failed)
    return (
      <Failure title="The first steps could not be loaded." error={failed.error} retry={() => void failed.refetch()} />
    );
  // Without logins, as on another system, the others can be done all the same.
  const pending = router.status === null || logins.isPending || !answered.data || !links.data;
  if (pending) return null;
  const running = phase(router) === "running";
  const known = { running, chosen, models: links.data.byProvider, answered: answered.data };
  return <Steps known={known} done={doneOf(known)} />;
}

function Steps({ known, done }: { known: Known; done: Done }) {
  const left = Object.values(done).filter((one) => !one).length;
  // Steps that were done before the page was opened are not worth their place.
  const [wasDone] = useState(left === 0);
  const base = useBase();
  if (wasDone) return null;
  const model = triedModel(known);
  return (
    <Card
      title="First steps"
      actions={
        <>
          <span className="muted" role="status">
            {left === 0 ? "All done" : `${4 - left} of 4 done`}
          </span>
          <Button kind="quiet" small onClick={() => setPreferences({ firstSteps: false })}>
            {left === 0 ? "Close" : "Hide"}
          </Button>
        </>
      }
    >
      <ol className={css.steps}>
        <Step done={done.router} title="The router runs">
          <p>Start it with the button above.</p>
        </Step>
        <Step done={done.provider} title="Add a provider">
          <ProviderChoices waiting={known.chosen} />
        </Step>
        <Step done={done.message} title="Send a test message" stays>
          <TestMessage preferred={model} />
        </Step>
        <Step
          done={done.client}
          title="Connect your client"
          action={
            <Link to="/connect" search={model === undefined ? {} : { model }} className={buttonClass("default", true)}>
              Show how
            </Link>
          }
        >
          <p>Copy the lines for your editor, agent or SDK, or begin with this command in a shell.</p>
          <Snippet wrap label="command" text={curl(base, model ?? "echo")} />
        </Step>
      </ol>
    </Card>
  );
}

interface StepProps {
  done: boolean;
  title: string;
  action?: ReactNode;
  /** Whether it can be repeated once it is done. */
  stays?: boolean;
  children: ReactNode;
}

function Step({ done, title, action, stays, children }: StepProps) {
  return (
    <li className={classes(css.step, done && css.done)}>
      {done ? (
        <Check size={18} color="var(--ok)" aria-label="Done:" />
      ) : (
        <Circle size={18} color="var(--faint)" aria-label="To do:" />
      )}
      <strong>{title}</strong>
      {!done && action}
      {(!done || stays) && <div className={css.stepMore}>{children}</div>}
    </li>
  );
}
