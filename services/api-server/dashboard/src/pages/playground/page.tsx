import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { statusQuery } from "../../api/queries";
import { plural } from "../../format/numbers";
import { phase } from "../../lifecycle/reducer";
import { useServices } from "../../lifecycle/store";
import { Button } from "../../parts/button";
import { Trash2 } from "../../parts/icons";
import { Card, Empty, Notice, Page } from "../../parts/layout";
import { Before } from "./before";
import { fullBecause, type Side } from "./chat";
import { Composer } from "./composer";
import { type Chosen, ModelFields } from "./model-fields";
import { ParameterFields } from "./parameter-fields";
import { fieldsOf } from "./parameters";
import css from "./playground.module.css";
import { bringBack, clear, isBusy, receiveHandover, send, usePlayground } from "./store";
import { Turns } from "./turns";
import { existing, firstName, type Names, useNames } from "./use-models";

export default function Playground() {
  const { turns, before, forgotten, parameters, apart, earlier, handover } = usePlayground();
  useQuery(statusQuery);
  const router = useServices((state) => state["provider-router"]);
  const { chosen, names, choose } = useChosen();
  const { a, b } = chosen;
  const { fields, mistakes } = fieldsOf(parameters);
  const away = router.status !== null && phase(router) !== "running";
  const models = b === undefined ? { a: a.trim() } : { a: a.trim(), b: b.trim() };
  const both = b !== undefined && apart;
  const reasonFor = (sides: Side[]) => {
    if (away) return "The router does not run";
    if (sides.some((side) => isBusy(turns, side))) return "Wait for the answer, or stop it";
    if (sides.some((side) => !models[side])) return "Choose a model";
    const mistake = [...mistakes.values()].flat()[0];
    return mistake === undefined ? fullBecause(before, turns) : `A parameter has a mistake: ${mistake}`;
  };
  const shared: Side[] = b === undefined ? ["a"] : ["a", "b"];
  const composer = (sides: Side[], input: Side, label: string) => (
    <Composer
      side={input}
      label={label}
      disabledBecause={reasonFor(sides)}
      onSend={() => send(sides, models, { system: parameters.system, fields })}
    />
  );
  const isEmpty = turns.length === 0 && before.length === 0;
  return (
    <Page
      title="Playground"
      about="Sends messages to one or two models. Each is a request like that of any client, and is in the log."
      actions={
        !isEmpty && (
          <Button icon={Trash2} onClick={clear}>
            Clear
          </Button>
        )
      }
    >
      {away && (
        <Notice tone="warn" action={<Link to="/">Go to the overview</Link>}>
          The router does not run, so that nothing can be sent. Start it on the overview.
        </Notice>
      )}
      {handover && <HandedOver left={handover.left} />}
      {earlier && (
        <Notice
          action={
            <Button small onClick={bringBack}>
              Bring it back
            </Button>
          }
        >
          The conversation before this one is kept until the page is loaded again.
        </Notice>
      )}
      <Card>
        <ModelFields a={a} b={b} names={names} onChoose={choose} />
        <ParameterFields
          given={parameters}
          mistakes={mistakes}
          onChange={(change) => usePlayground.setState({ parameters: { ...parameters, ...change } })}
        />
      </Card>
      {isEmpty && (
        <Empty title="Nothing was sent yet">
          The conversation stays in this tab until it is cleared or the tab is closed; answers go on while another page
          is shown.
          {names?.models.includes("echo") && (
            <>
              {" "}
              The model <code>echo</code> repeats what you say, and needs no key.
            </>
          )}
        </Empty>
      )}
      {forgotten > 0 && (
        <Notice tone="warn">
          {plural(forgotten, "earlier message")} went with the reload of the page: the tab keeps the newest ones only.
        </Notice>
      )}
      <Before messages={before} />
      <Turns />
      {both ? (
        <div className={css.composers}>
          {composer(["a"], "a", `Message to ${a || "the first model"}`)}
          {composer(["b"], "b", `Message to ${b || "the second model"}`)}
        </div>
      ) : (
        composer(shared, "a", "Message")
      )}
    </Page>
  );
}

function HandedOver({ left }: { left: string[] }) {
  return (
    <Notice tone={left.length > 0 ? "warn" : undefined}>
      This is the conversation of a logged request, with its parameters.
      {left.length > 0 && ` Left out, because Chat Completions does not have it: ${left.join(", ")}.`}
    </Notice>
  );
}

const route = getRouteApi("/playground");

/** Returns the models of the address, else those of the tab that still exist, else one that exists. */
function useChosen() {
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/playground" });
  const names = useNames();
  const models = usePlayground((state) => state.models);
  useEffect(() => {
    receiveHandover();
  }, []);
  // The address is what was followed; what is typed afterwards changes both.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when the page is shown
  useEffect(() => {
    if (search.a !== undefined) usePlayground.setState({ models: modelsOf(search.a, search.b) });
  }, []);
  useForgetting(search.a === undefined ? names : null);
  const first = names === null ? undefined : firstName(names);
  const chosen: Chosen = { a: models.a ?? first ?? "", b: models.b };
  const choose = (change: Partial<Chosen>) => {
    const next = { ...chosen, ...change };
    usePlayground.setState({ models: modelsOf(next.a, next.b) });
    void navigate({ search: { a: next.a || undefined, b: next.b || undefined }, replace: true });
  };
  return { chosen, names, choose };
}

const modelsOf = (a: string, b: string | undefined) => (b === undefined ? { a } : { a, b });

/** Forgets models of the tab that have been deleted since, once the names are known. What is typed is left alone. */
function useForgetting(names: Names | null): void {
  const isDone = useRef(false);
  useEffect(() => {
    if (isDone.current || names === null) return;
    isDone.current = true;
    usePlayground.setState(({ models }) => ({ models: existing(models, names) }));
  }, [names]);
}
