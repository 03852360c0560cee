import { useRef } from "react";
import { mistakesByPath, useFocusOnMistake } from "../../api/mistakes";
import { useAction } from "../../parts/action";
import { Button, Row } from "../../parts/button";
import { useDraft, writeDraft } from "../../parts/draft";
import { AreaField, SelectField, Switch, TextField } from "../../parts/field";
import { Card, Failure } from "../../parts/layout";
import { LeaveGuard } from "../../parts/leave-guard";
import { Restored } from "../../parts/restored";
import { type KeyDraft, PATHS, SURFACES } from "./form";
import css from "./keys.module.css";

interface EditorProps {
  /** Name under which unsaved input survives a reload. */
  name: string;
  version?: string;
  initial: KeyDraft;
  /** Name of the button. */
  action: string;
  done?: string;
  /** Whether the key exists: unchanged input cannot be saved. */
  exists: boolean;
  save: (draft: KeyDraft) => Promise<unknown>;
}

/** The form of a client key. */
export function KeyEditor({ name, version = "", initial, action: verb, done, exists, save }: EditorProps) {
  const { draft, setDraft, restoring, discard } = useDraft<KeyDraft>({
    name,
    initial,
    version,
    kept: (draft) => (JSON.stringify(initial) === JSON.stringify(draft) ? null : draft),
  });
  const form = useRef<HTMLFormElement>(null);
  const send = async () => {
    await save(draft);
    writeDraft(name, null);
  };
  const action = useAction(send, done === undefined ? {} : { done });
  useFocusOnMistake(form, action.problem);
  const set = (change: Partial<KeyDraft>) => setDraft((old) => ({ ...old, ...change }));
  const dirty = JSON.stringify(initial) !== JSON.stringify(draft);
  const mistakes = mistakesByPath(action.problem, PATHS);
  if (action.problem?.details.code === "key_exists") mistakes.set("name", [action.problem.message]);
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
      {action.problem && <Failure title="Not saved." error={action.problem} />}
      <Card title="Who">
        <div className={css.halves}>
          <TextField
            label="Name"
            required
            value={draft.name}
            mistakes={mistakes.get("name")}
            onChange={(name) => set({ name })}
            hint="What the key is for."
          />
          <TextField
            label="Owner"
            value={draft.owner}
            mistakes={mistakes.get("owner")}
            onChange={(owner) => set({ owner })}
            hint="Person or team that uses it."
          />
          <TextField
            label="Tags"
            value={draft.tags}
            mistakes={mistakes.get("tags")}
            onChange={(tags) => set({ tags })}
            hint="Labels for the sums of costs, with commas between them."
          />
          <TextField
            label="Expires"
            type="datetime-local"
            value={draft.expires}
            mistakes={mistakes.get("expires_at")}
            onChange={(expires) => set({ expires })}
            hint="In the time zone of this browser. Empty: it does not."
          />
        </div>
      </Card>
      <Limits draft={draft} mistakes={mistakes} set={set} />
      <Permissions draft={draft} mistakes={mistakes} set={set} />
      <Row>
        <Button
          kind="primary"
          type="submit"
          pending={action.pending}
          disabledBecause={exists && !dirty ? "Nothing has been changed" : undefined}
        >
          {verb}
        </Button>
        {exists && dirty && <Button onClick={discard}>Undo changes</Button>}
      </Row>
    </form>
  );
}

interface PartProps {
  draft: KeyDraft;
  mistakes: Map<string, string[]>;
  set: (change: Partial<KeyDraft>) => void;
}

function Limits({ draft, mistakes, set }: PartProps) {
  return (
    <Card title="Limits and budget">
      <div className={css.halves}>
        <TextField
          label="Requests per minute"
          inputMode="numeric"
          placeholder="no limit"
          value={draft.rpm}
          mistakes={mistakes.get("limits.rpm")}
          onChange={(rpm) => set({ rpm })}
        />
        <TextField
          label="Tokens per minute"
          inputMode="numeric"
          placeholder="no limit"
          value={draft.tpm}
          mistakes={mistakes.get("limits.tpm")}
          onChange={(tpm) => set({ tpm })}
        />
        <TextField
          label="Requests at once"
          inputMode="numeric"
          placeholder="no limit"
          value={draft.concurrency}
          mistakes={mistakes.get("limits.concurrency")}
          onChange={(concurrency) => set({ concurrency })}
        />
        <TextField
          label="Budget in dollars"
          inputMode="decimal"
          placeholder="none"
          value={draft.amount}
          mistakes={mistakes.get("budget.amount_usd")}
          onChange={(amount) => set({ amount })}
        />
        <SelectField
          label="Budget for"
          value={draft.period}
          options={[
            ["day", "each day"],
            ["week", "each week, from Monday"],
            ["month", "each month"],
            ["total", "all time"],
          ]}
          mistakes={mistakes.get("budget.period")}
          onChange={(period) => set({ period })}
          hint="Periods begin at midnight UTC."
        />
      </div>
    </Card>
  );
}

function Permissions({ draft, mistakes, set }: PartProps) {
  return (
    <Card title="Permissions">
      <div className={css.form}>
        <div className={css.halves}>
          <AreaField
            label="Models"
            className="mono"
            rows={3}
            placeholder="all"
            value={draft.models}
            mistakes={mistakes.get("models")}
            onChange={(models) => set({ models })}
            hint="One a line; one `*` matches any characters: `gpt-*`."
          />
          <AreaField
            label="Addresses"
            className="mono"
            rows={3}
            placeholder="all"
            value={draft.addresses}
            mistakes={mistakes.get("addresses")}
            onChange={(addresses) => set({ addresses })}
            hint="Addresses or networks that may use it: `192.168.1.7`, `10.0.0.0/8`."
          />
        </div>
        <Surfaces
          chosen={draft.surfaces}
          mistakes={mistakes.get("surfaces")}
          onChange={(surfaces) => set({ surfaces })}
        />
        <SelectField
          label="Bodies in the log"
          value={draft.logBodies}
          options={[
            ["", "as the router is set"],
            ["full", "full"],
            ["redact", "redacted"],
            ["off", "off"],
          ]}
          mistakes={mistakes.get("log_bodies")}
          onChange={(logBodies) => set({ logBodies })}
        />
        <Switch
          label="Refuse translations that lose a field"
          checked={draft.strict}
          onChange={(strict) => set({ strict })}
        />
      </div>
    </Card>
  );
}

interface SurfacesProps {
  chosen: string[];
  mistakes: string[] | undefined;
  onChange: (chosen: string[]) => void;
}

function Surfaces({ chosen, mistakes, onChange }: SurfacesProps) {
  return (
    <fieldset className={css.choices}>
      <legend>APIs</legend>
      {SURFACES.map((surface) => (
        <label key={surface}>
          <input
            type="checkbox"
            aria-invalid={Boolean(mistakes)}
            checked={chosen.includes(surface)}
            onChange={({ target }) =>
              onChange(SURFACES.filter((one) => (one === surface ? target.checked : chosen.includes(one))))
            }
          />
          {surface}
        </label>
      ))}
      {mistakes?.map((mistake) => (
        <p key={mistake} className={css.mistake}>
          {mistake}
        </p>
      ))}
      <p>{chosen.length === 0 ? "None chosen: all may be used." : "Only these may be used."}</p>
    </fieldset>
  );
}
