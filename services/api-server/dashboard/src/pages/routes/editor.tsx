import { useRef } from "react";
import { mistakesByPath, useFocusOnMistake } from "../../api/mistakes";
import { Problem } from "../../api/problem";
import { useAction } from "../../parts/action";
import { Button, Row } from "../../parts/button";
import { useDraft, writeDraft } from "../../parts/draft";
import { AreaField, SelectField, Switch, TextField } from "../../parts/field";
import { Plus } from "../../parts/icons";
import { Card, Failure } from "../../parts/layout";
import { LeaveGuard } from "../../parts/leave-guard";
import { Restored } from "../../parts/restored";
import {
  bodyOf,
  DEADLINES,
  isSame,
  moved,
  newTarget,
  POLICIES,
  pathsOf,
  problemsByTarget,
  type RouteDraft,
  shares,
} from "./form";
import css from "./routes.module.css";
import { ModelNames, TargetFields } from "./target-fields";

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

const MAX_TARGETS = 32;

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
  const set = (change: Partial<RouteDraft>) => setDraft((old) => ({ ...old, ...change }));
  const dirty = !isSame(initial, draft);
  const mistakes = mistakesByPath(action.problem, pathsOf(draft));
  if (action.problem?.details.code === "route_exists") mistakes.set("model", [action.problem.message]);
  const weights = draft.policy === "weighted" ? shares(draft.targets.map(({ weight }) => weight)) : [];
  const byTarget = problemsByTarget(problems);
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
      <Card title="Name">
        <div className={css.form}>
          <div className={css.halves}>
            <TextField
              label="Model"
              required
              mono
              value={draft.model}
              mistakes={mistakes.get("model")}
              onChange={(model) => set({ model })}
              hint="The name in requests. One `*` matches any characters: `claude-*`."
            />
            <AreaField
              label="Aliases"
              className="mono"
              rows={2}
              value={draft.aliases}
              mistakes={mistakes.get("aliases")}
              onChange={(aliases) => set({ aliases })}
              hint="Other names of the route, one a line."
            />
          </div>
          <Switch label="Requests are routed by it" checked={draft.enabled} onChange={(enabled) => set({ enabled })} />
        </div>
      </Card>
      <Card title="Targets">
        <div className={css.form}>
          <SelectField
            label="Policy"
            value={draft.policy}
            options={POLICIES.map(([value, label]): [string, string] => [value, label])}
            mistakes={mistakes.get("policy")}
            onChange={(policy) => set({ policy })}
            hint="Which target is asked first. If it does not answer, the others follow."
          />
          <div className={css.targets}>
            {draft.targets.map((target, at) => (
              <TargetFields
                key={target.key}
                target={target}
                at={at}
                of={draft.targets.length}
                share={weights[at] ?? null}
                problem={byTarget.get(
                  initial.targets.findIndex(({ key, provider }) => key === target.key && provider === target.provider),
                )}
                mistakes={mistakes}
                onChange={(changed) =>
                  set({ targets: draft.targets.map((one) => (one.key === target.key ? changed : one)) })
                }
                onMove={(by) => set({ targets: moved(draft.targets, at, by) })}
                onRemove={() => set({ targets: draft.targets.filter(({ key }) => key !== target.key) })}
              />
            ))}
          </div>
          <Row>
            <Button
              icon={Plus}
              disabledBecause={draft.targets.length >= MAX_TARGETS ? "A route has at most 32 targets" : undefined}
              onClick={() => set({ targets: [...draft.targets, newTarget()] })}
            >
              Add a target
            </Button>
          </Row>
        </div>
      </Card>
      <Behaviour draft={draft} mistakes={mistakes} set={set} />
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

interface BehaviourProps {
  draft: RouteDraft;
  mistakes: Map<string, string[]>;
  set: (change: Partial<RouteDraft>) => void;
}

function Behaviour({ draft, mistakes, set }: BehaviourProps) {
  return (
    <Card title="Retries and deadlines">
      <div className={css.form}>
        <div className={css.halves}>
          <TextField
            label="Retries"
            inputMode="numeric"
            placeholder="each target once"
            value={draft.retries}
            mistakes={mistakes.get("retries")}
            onChange={(retries) => set({ retries })}
            hint="Attempts after the first one, over all targets, up to 10."
          />
          <SelectField
            label="Same target for"
            value={draft.sticky}
            options={[
              ["", "no requests"],
              ["session", "the same session"],
              ["prefix", "the same beginning"],
            ]}
            mistakes={mistakes.get("sticky")}
            onChange={(sticky) => set({ sticky })}
            hint="Requests that belong together find the prompt cache of their provider warm."
          />
          <SelectField
            label="Broken streams"
            value={draft.resume}
            options={[
              ["off", "end with an error"],
              ["verbatim", "go on with the next target"],
            ]}
            mistakes={mistakes.get("resume")}
            onChange={(resume) => set({ resume })}
            hint="The next target goes on only if it repeats what was sent, word for word."
          />
        </div>
        <fieldset className={css.target}>
          <legend>Deadlines in milliseconds</legend>
          <p className="muted">An empty one is that of the router.</p>
          <div className={css.columns}>
            {DEADLINES.map(([name, label]) => (
              <TextField
                key={name}
                label={label}
                inputMode="numeric"
                value={draft.deadlines[name]}
                mistakes={mistakes.get(`deadlines.${name}`)}
                onChange={(ms) => set({ deadlines: { ...draft.deadlines, [name]: ms } })}
              />
            ))}
          </div>
        </fieldset>
        <Switch
          label="Refuse translations that lose a field"
          checked={draft.strict}
          onChange={(strict) => set({ strict })}
        />
        <Switch
          label="Keep streams, so that clients can fetch the rest after a lost connection"
          checked={draft.resumable}
          onChange={(resumable) => set({ resumable })}
        />
      </div>
    </Card>
  );
}
