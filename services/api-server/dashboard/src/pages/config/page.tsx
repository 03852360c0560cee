import { useQuery } from "@tanstack/react-query";
import { type DragEvent, useState } from "react";
import { send } from "../../api/client";
import { queryClient } from "../../api/queries";
import { count, plural } from "../../format/numbers";
import { useAction } from "../../parts/action";
import { Button, Row } from "../../parts/button";
import { Changes } from "../../parts/changes";
import { AreaField, Select, SelectField, Switch } from "../../parts/field";
import type { FieldChange } from "../../parts/field-changes";
import { Card, Failure, Loaded, Notice, Page, Stack } from "../../parts/layout";
import { Viewer } from "../../parts/viewer";
import { Secret, SecretGuard } from "../keys/secret";
import css from "./config.module.css";
import { changesIn, FORMATS, type Format, formatOf, type Plan, valuesOf } from "./plan";

const MEDIA: Record<Format, string> = { toml: "application/toml", yaml: "application/yaml", json: "application/json" };

export default function Configuration() {
  return (
    <Page
      title="Configuration"
      about="Providers, models and settings as one document: to keep it under version control, or to set up another machine."
    >
      <Apply />
      <Export />
    </Page>
  );
}

function Export() {
  const [format, setFormat] = useState<Format>("toml");
  const query = useQuery({
    queryKey: ["config", format],
    staleTime: 0,
    queryFn: async () => await (await send(`/api/config/export?format=${format}`)).text(),
  });
  return (
    <Card
      title="Present configuration"
      actions={
        <Select
          aria-label="Format"
          value={format}
          onChange={(value) => setFormat(value as Format)}
          options={FORMATS.map((one): [string, string] => [one, one.toUpperCase()])}
        />
      }
    >
      <Loaded query={query} rows={8}>
        {(text) => <Viewer key={format} text={text} name={`signalbox.${format}`} label="Present configuration" />}
      </Loaded>
      <p className="muted">Secrets are masked. A mask that is applied keeps the stored secret.</p>
    </Card>
  );
}

function Apply() {
  const [text, setText] = useState("");
  const [format, setFormat] = useState<Format | null>(null);
  const [prune, setPrune] = useState(false);
  const [issued, setIssued] = useState<NonNullable<Plan["keys"]>>([]);
  const [planned, setPlanned] = useState<{ plan: Plan; of: string } | null>(null);
  const used = format ?? formatOf("", text);
  const key = JSON.stringify([text, used, prune]);
  const plan = planned?.of === key ? planned.plan : null;
  const post = async (dryRun: boolean): Promise<Plan> => {
    const query = new URLSearchParams({ dry_run: String(dryRun), prune: String(prune), format: used });
    // What was looked at is what is applied: if something has changed since, the server refuses.
    if (!dryRun && plan?.base_version !== undefined) query.set("base_version", String(plan.base_version));
    const response = await send(`/api/config/apply?${query}`, {
      method: "POST",
      headers: { "content-type": MEDIA[used] },
      body: text,
    });
    return (await response.json()) as Plan;
  };
  const check = useAction(() => post(true), { after: (plan) => setPlanned({ plan, of: key }) });
  const apply = useAction(() => post(false), {
    done: (plan) => `${plural(changesIn(plan), "change")} applied`,
    after: async (plan) => {
      setIssued(plan.keys ?? []);
      setPlanned(null);
      setText("");
      await queryClient.invalidateQueries();
    },
  });
  const dropped = async (event: DragEvent) => {
    const file = event.dataTransfer.files[0];
    if (!file) return;
    event.preventDefault();
    setText(await file.text());
    setFormat(formatOf(file.name, ""));
  };
  return (
    <Card title="Apply a document">
      <Stack>
        {/* biome-ignore lint/a11y/noStaticElementInteractions: the field below takes the same text */}
        <div onDragOver={(event) => event.preventDefault()} onDrop={(event) => void dropped(event)}>
          <AreaField
            label="Document"
            className="mono"
            rows={8}
            value={text}
            onChange={setText}
            placeholder="Paste a document, or drop a file here."
            hint="Nothing is changed before you have seen the plan."
          />
        </div>
        <Row className={css.options}>
          <SelectField
            label="Format"
            value={used}
            onChange={(value) => setFormat(value as Format)}
            options={FORMATS.map((one): [string, string] => [one, one.toUpperCase()])}
          />
          <Switch label="Delete what is not in the document" checked={prune} onChange={setPrune} />
        </Row>
        {check.problem && <Failure title="The document cannot be applied." error={check.problem} />}
        {apply.problem && <Failure title="Nothing was changed." error={apply.problem} />}
        {apply.problem?.details.status === 409 && (
          <p className="muted">Look at the plan again: it shows what would change now.</p>
        )}
        {plan && <PlanView plan={plan} />}
        {issued.map(({ id, name, key }) => (
          <section key={id} aria-label={`Key ${name}`}>
            <h3>{name}</h3>
            <Secret secret={key} />
          </section>
        ))}
        {issued.length > 0 && <SecretGuard />}
        <Row>
          <Button
            kind={plan ? "default" : "primary"}
            pending={check.pending}
            disabledBecause={text.trim() === "" ? "Paste a document first" : undefined}
            onClick={() => check.run()}
          >
            Show the plan
          </Button>
          {plan && changesIn(plan) > 0 && (
            <Button
              kind={plan.deleted.length > 0 ? "danger" : "primary"}
              pending={apply.pending}
              onClick={() => apply.run()}
            >
              Apply {plural(changesIn(plan), "change")}
            </Button>
          )}
        </Row>
      </Stack>
    </Card>
  );
}

function PlanView({ plan }: { plan: Plan }) {
  if (changesIn(plan) === 0)
    return (
      <Notice tone="ok">
        Nothing would change: all {count(plan.unchanged.length)} entries are as in the document.
      </Notice>
    );
  return (
    <ul className={css.plan} aria-label="Plan">
      {plan.created.map((path) => (
        <li key={path} className={css.created}>
          + {path}
          <EntryChanges changes={valuesOf(plan, path, [])} />
        </li>
      ))}
      {plan.updated.map(({ path, what }) => (
        <li key={path} className={css.updated}>
          ~ {path}
          <EntryChanges changes={valuesOf(plan, path, what)} />
        </li>
      ))}
      {plan.deleted.map((path) => (
        <li key={path} className={css.deleted}>
          − {path}
          <EntryChanges changes={valuesOf(plan, path, [])} />
        </li>
      ))}
      {plan.unchanged.length > 0 && <li>{plural(plan.unchanged.length, "entry", "entries")} unchanged</li>}
    </ul>
  );
}

function EntryChanges({ changes }: { changes: FieldChange[] }) {
  if (changes.length === 0) return null;
  const told = changes.filter(({ before, after }) => before !== null || after !== null);
  return told.length > 0 ? <Changes changes={told} /> : <span> {changes.map(({ field }) => field).join(", ")}</span>;
}
