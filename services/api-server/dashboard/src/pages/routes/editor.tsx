import { useRef } from "react";
import { ROUTE } from "../../api/forms";
import { mistakesByPath, useFocusOnMistake } from "../../api/mistakes";
import { Problem } from "../../api/problem";
import { GuardFields, QueueFields, RateFields } from "../../forms/common";
import { type Entry, textAt } from "../../forms/entry";
import { Fold, Section } from "../../forms/fold";
import { FormOf, Input, Mistakes, useForm } from "../../forms/inputs";
import { nodeAt } from "../../forms/schema";
import { useAction } from "../../parts/action";
import { Button, Row } from "../../parts/button";
import { useDraft, writeDraft } from "../../parts/draft";
import { Plus } from "../../parts/icons";
import { Card, Failure } from "../../parts/layout";
import { LeaveGuard } from "../../parts/leave-guard";
import { Restored } from "../../parts/restored";
import {
  bodyOf,
  DEADLINES,
  FIELDS,
  isSame,
  moved,
  newTarget,
  POLICIES,
  pathsOf,
  problemsByTarget,
  type RouteDraft,
  shares,
  TARGET,
  type TargetDraft,
} from "./form";
import css from "./routes.module.css";
import { MODEL_NAMES, ModelNames, TargetFields, useProviderOptions } from "./target-fields";

interface EditorProps {
  /** Name under which unsaved input survives a reload. */
  name: string;
  version?: string;
  initial: RouteDraft;
  problems?: string[];
  /** Whether the route exists: unchanged input cannot be saved. */
  exists: boolean;
  save: (body: Record<string, unknown>) => Promise<unknown>;
}

const MAX_TARGETS = nodeAt(ROUTE, "targets").maxItems ?? Number.POSITIVE_INFINITY;

/** The form of a route. */
export function RouteEditor({ name, version = "", initial, problems = [], exists, save }: EditorProps) {
  const { draft, setDraft, restoring, discard } = useDraft<RouteDraft>({
    name,
    initial,
    version,
    kept: (draft) => (isSame(initial, draft) ? null : draft),
  });
  const form = useRef<HTMLFormElement>(null);
  const action = useAction(
    async () => {
      const { body, mistakes } = bodyOf(draft);
      if (mistakes.length > 0) throw new Problem("Some fields cannot be sent.", { status: 400, mistakes });
      await save(body);
      writeDraft(name, null);
    },
    { done: "Saved. It is in force within a second." },
  );
  useFocusOnMistake(form, action.problem);
  const change = (change: (old: Entry) => Entry) => setDraft((old) => ({ ...old, ...change(old) }));
  const setTargets: TargetsProps["set"] = (change) => setDraft((old) => ({ ...old, targets: change(old.targets) }));
  const dirty = !isSame(initial, draft);
  const mistakes = mistakesByPath(action.problem, pathsOf(draft));
  if (action.problem?.details.code === "route_exists") mistakes.set("model", [action.problem.message]);
  return (
    <form
      ref={form}
      className={css.form}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        action.run();
      }}
    >
      <LeaveGuard dirty={dirty && !action.pending} onLeave={discard} />
      {dirty && <Restored restoring={restoring} discard={discard} />}
      <ModelNames />
      {action.problem && <Failure title="Not saved." error={action.problem} />}
      <FormOf schema={FIELDS} entry={draft} mistakes={mistakes} onChange={change}>
        <Names />
        <Card title="Targets">
          <div className={css.form}>
            <Input
              at="policy"
              label="Policy"
              options={POLICIES}
              hint="Which target is asked first. If it does not answer, the others follow."
            />
            <Mistakes of={mistakes.get("targets")} />
            <Targets draft={draft} initial={initial} problems={problems} mistakes={mistakes} set={setTargets} />
          </div>
        </Card>
        <Behaviour />
        <Fold title="Limits" of={["limits"]}>
          <Section at="limits">
            <RateFields />
          </Section>
          <QueueFields />
        </Fold>
        <Cache />
        <GuardFields />
        <Copies />
      </FormOf>
      <Row>
        <Button
          kind="primary"
          type="submit"
          pending={action.pending}
          disabledBecause={exists && !dirty ? "Nothing has been changed" : undefined}
        >
          Save
        </Button>
        {exists && dirty && <Button onClick={discard}>Undo changes</Button>}
      </Row>
    </form>
  );
}

function Names() {
  return (
    <Card title="Name">
      <div className={css.form}>
        <div className={css.halves}>
          <Input
            at="model"
            label="Model"
            mono
            hint="The name in requests. One `*` matches any characters: `claude-*`."
          />
          <Input at="aliases" label="Aliases" hint="Other names of the route, one a line." />
        </div>
        <Input at="enabled" label="Requests are routed by it" />
      </div>
    </Card>
  );
}

interface TargetsProps {
  draft: RouteDraft;
  initial: RouteDraft;
  problems: string[];
  mistakes: Map<string, string[]>;
  set: (change: (old: TargetDraft[]) => TargetDraft[]) => void;
}

function Targets({ draft, initial, problems, mistakes, set }: TargetsProps) {
  const { targets } = draft;
  const isWeighted = textAt(FIELDS, draft, "policy") === "weighted";
  const weights = isWeighted ? shares(targets.map((target) => textAt(TARGET, target, "weight"))) : [];
  const byTarget = problemsByTarget(problems);
  return (
    <>
      <div className={css.targets}>
        {targets.map((target, at) => (
          <TargetFields
            key={target.key}
            target={target}
            at={at}
            of={targets.length}
            share={weights[at] ?? null}
            problem={
              "provider" in target.texts
                ? undefined
                : byTarget.get(initial.targets.findIndex(({ key }) => key === target.key))
            }
            mistakes={mistakes}
            onChange={(change) =>
              set((old) => old.map((one) => (one.key === target.key ? { ...one, ...change(one) } : one)))
            }
            onMove={(by) => set((old) => moved(old, at, by))}
            onRemove={() => set((old) => old.filter(({ key }) => key !== target.key))}
          />
        ))}
      </div>
      <Row>
        <Button
          icon={Plus}
          disabledBecause={targets.length >= MAX_TARGETS ? `A route has at most ${MAX_TARGETS} targets` : undefined}
          onClick={() => set((old) => [...old, newTarget()])}
        >
          Add a target
        </Button>
      </Row>
    </>
  );
}

function Behaviour() {
  return (
    <Card title="Retries and deadlines">
      <div className={css.form}>
        <div className={css.halves}>
          <Input
            at="retries"
            label="Retries"
            unset="each target once"
            hint="Attempts after the first one, over all targets, up to 10."
          />
          <Input
            at="sticky"
            label="Same target for"
            unset="no requests"
            options={[
              ["session", "the same session"],
              ["prefix", "the same beginning"],
            ]}
            hint="Requests that belong together find the prompt cache of their provider warm."
          />
          <Input
            at="resume"
            label="Broken streams"
            options={[
              ["off", "end with an error"],
              ["verbatim", "go on with the next target"],
            ]}
            hint="The next target goes on only if it repeats what was sent, word for word."
          />
        </div>
        <fieldset className={css.target}>
          <legend>Deadlines in milliseconds</legend>
          <p className="muted">An empty one is that of the router.</p>
          <div className={css.columns}>
            {DEADLINES.map(([name, label]) => (
              <Input key={name} at={`deadlines.${name}`} label={label} bare />
            ))}
          </div>
        </fieldset>
        <Input at="strict" label="Refuse translations that lose a field" hint="" />
        <Input
          at="resumable"
          label="Keep streams, so that clients can fetch the rest after a lost connection"
          hint=""
        />
      </div>
    </Card>
  );
}

function Cache() {
  return (
    <Fold title="Cache" of={["cache"]}>
      <Section at="cache">
        <Input at="cache.ttl_ms" label="Time to live" unset="not cached" />
        <Input
          at="cache.scope"
          label="Shared by"
          unset="as by default"
          options={[
            ["key", "requests with the same key"],
            ["owner", "keys of the same owner"],
            ["all", "all requests"],
          ]}
        />
        <Input at="cache.max_answer_bytes" label="Largest answer" unset="1048576" />
      </Section>
    </Fold>
  );
}

function Copies() {
  const text = textAt(FIELDS, useForm().entry, "mirror.provider");
  const providers = useProviderOptions(text);
  return (
    <Fold title="Hedging and mirroring" of={["hedge", "mirror"]}>
      <Section at="hedge" title="Hedging">
        <Input at="hedge.quantile" label="Quantile" unset="0.95" />
        <Input at="hedge.min_ms" label="Shortest wait" />
      </Section>
      <Section at="mirror" title="Mirroring">
        <Input at="mirror.provider" label="Mirror provider" unset="none" options={providers} />
        <Input at="mirror.model" label="Mirror model" mono list={MODEL_NAMES} />
        <Input at="mirror.percent" label="Percentage" />
      </Section>
    </Fold>
  );
}
