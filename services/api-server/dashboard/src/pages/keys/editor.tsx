import { useRef } from "react";
import { KEY } from "../../api/forms";
import { mistakesByPath, useFocusOnMistake } from "../../api/mistakes";
import { Problem } from "../../api/problem";
import { GuardFields, QueueFields, RateFields } from "../../forms/common";
import { type Entry, isSameEntry } from "../../forms/entry";
import { Fold } from "../../forms/fold";
import { FormOf, Input } from "../../forms/inputs";
import { useAction } from "../../parts/action";
import { Button, Row } from "../../parts/button";
import { useDraft, writeDraft } from "../../parts/draft";
import { Card, Failure } from "../../parts/layout";
import { LeaveGuard } from "../../parts/leave-guard";
import { Restored } from "../../parts/restored";
import { bodyOf, PATHS, PERIOD } from "./form";
import css from "./keys.module.css";

interface EditorProps {
  /** Name under which unsaved input survives a reload. */
  name: string;
  version?: string;
  initial: Entry;
  /** Name of the button. */
  action: string;
  done?: string;
  /** Whether the key exists: unchanged input cannot be saved. */
  exists: boolean;
  save: (body: Record<string, unknown>) => Promise<unknown>;
}

/** The form of a client key. */
export function KeyEditor({ name, version = "", initial, action: verb, done, exists, save }: EditorProps) {
  const { draft, setDraft, restoring, discard } = useDraft<Entry>({
    name,
    initial,
    version,
    kept: (draft) => (isSameEntry(initial, draft) ? null : draft),
  });
  const form = useRef<HTMLFormElement>(null);
  const send = async () => {
    const { document, mistakes } = bodyOf(draft);
    if (mistakes.length > 0) throw new Problem("Some fields cannot be sent.", { status: 400, mistakes });
    await save(document);
    writeDraft(name, null);
  };
  const action = useAction(send, done === undefined ? {} : { done });
  useFocusOnMistake(form, action.problem);
  const dirty = !isSameEntry(initial, draft);
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
      <FormOf schema={KEY} entry={draft} mistakes={mistakes} onChange={setDraft}>
        <Owner />
        <Limits />
        <Permissions />
        <Fold title="Waiting at a limit" of={["limits.queue", "priority"]}>
          <Input
            at="priority"
            label="Priority"
            unset="normal"
            options={[
              ["high", "high: before the others"],
              ["low", "low: after the others"],
            ]}
          />
          <QueueFields />
        </Fold>
        <GuardFields />
      </FormOf>
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

function Owner() {
  return (
    <Card title="Who">
      <div className={css.halves}>
        <Input at="name" label="Name" hint="Purpose of the key." />
        <Input at="owner" label="Owner" />
        <Input at="tags" label="Tags" hint="Labels for the sums of costs, one a line or with commas between them." />
        <Input at="expires_at" label="Expires" hint="In the time zone of this browser. Empty: it does not." />
      </div>
    </Card>
  );
}

function Limits() {
  return (
    <Card title="Limits and budget">
      <div className={css.halves}>
        <RateFields />
        <Input at="budget.amount_usd" label="Budget" unset="none" />
        <Input
          at="budget.period"
          label="Budget for"
          byDefault={PERIOD}
          options={[
            ["day", "each day"],
            ["week", "each week, from Monday"],
            ["month", "each month"],
            ["total", "all time"],
          ]}
          hint="Periods begin at midnight UTC."
        />
      </div>
    </Card>
  );
}

function Permissions() {
  return (
    <Card title="Permissions">
      <div className={css.form}>
        <div className={css.halves}>
          <Input
            at="models"
            label="Models"
            rows={3}
            unset="all"
            hint="One a line; one `*` matches any characters: `gpt-*`."
          />
          <Input
            at="addresses"
            label="Addresses"
            rows={3}
            unset="all"
            hint="Addresses or networks that may use it: `192.168.1.7`, `10.0.0.0/8`."
          />
        </div>
        <Input at="surfaces" label="APIs" unset="None chosen: all may be used." hint="Only these may be used." />
        <Input
          at="log_bodies"
          label="Bodies in the log"
          unset="as the router is set"
          options={[
            ["full", "full"],
            ["redact", "redacted"],
            ["off", "off"],
          ]}
        />
        <Input at="strict" label="Refuse translations that lose a field" hint="" />
      </div>
    </Card>
  );
}
