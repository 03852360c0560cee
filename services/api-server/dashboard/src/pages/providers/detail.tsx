import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { type Answer, api, data, type Schemas } from "../../api/client";
import { mistakesByField, useFocusOnMistake } from "../../api/mistakes";
import { providerQuery, providerTypesQuery, queryClient } from "../../api/queries";
import { ifMatch, type Versioned } from "../../api/versions";
import { useAction } from "../../parts/action";
import { Button, Row } from "../../parts/button";
import { ConflictDialog, useConflict } from "../../parts/conflict";
import { useDraft } from "../../parts/draft";
import { AreaField, Switch, TextField } from "../../parts/field";
import { Trash2 } from "../../parts/icons";
import { Card, Failure, Loaded, Notice, Page } from "../../parts/layout";
import { LeaveGuard } from "../../parts/leave-guard";
import { Mark } from "../../parts/mark";
import { Restored } from "../../parts/restored";
import { FoldedConfigFields } from "./config-fields";
import { askToDelete } from "./delete";
import { changesOf, type Edits, fieldsOf, isDirty, type TypeSchema, withoutSecrets } from "./form";
import { LinkedModels } from "./linked-models";
import css from "./providers.module.css";
import { providerState } from "./state";
import { TestPanel } from "./test-panel";

const route = getRouteApi("/providers/$id");

type Provider = Schemas["WholeProvider"];

export default function ProviderPage() {
  const { id } = route.useParams();
  const navigate = useNavigate();
  const query = useQuery(providerQuery(id));
  const types = useQuery(providerTypesQuery);
  const provider = query.data;
  const [tone, word] = provider ? providerState(provider) : (["off", ""] as const);
  return (
    <Page
      title={provider?.name ?? id}
      back={{ to: "/providers", label: "Providers" }}
      about={
        provider && (
          <>
            <Mark tone={tone}>{word}</Mark> · <code>{id}</code> ·{" "}
            {types.data?.find(({ value }) => value === provider.type)?.label ?? provider.type} ·{" "}
            <Link to="/requests" search={{ provider: id }}>
              its requests
            </Link>
          </>
        )
      }
      actions={
        provider && (
          <Button
            kind="danger"
            icon={Trash2}
            onClick={() => askToDelete(provider, () => navigate({ to: "/providers", ignoreBlocker: true }))}
          >
            Delete
          </Button>
        )
      }
    >
      <Loaded query={query} rows={6}>
        {(provider) => (
          <>
            <TestPanel id={id} />
            <ProviderForm
              key={id}
              provider={provider}
              type={types.data?.find(({ value }) => value === provider.type)}
            />
            <LinkedModels provider={provider} />
          </>
        )}
      </Loaded>
    </Page>
  );
}

type Stored = Versioned<Provider>;

const UNTOUCHED: { basics: Basics; edits: Edits } = { basics: {}, edits: {} };

type Basics = Partial<Pick<Provider, "name" | "description" | "priority" | "enabled">>;

function ProviderForm({ provider, type }: { provider: Stored; type: TypeSchema | undefined }) {
  const { id } = provider;
  const form = useRef<HTMLFormElement>(null);
  const [base, setBase] = useState(provider);
  const fields = [...fieldsOf(type), ...unknownFields(provider, type)];
  const draftName = `provider.${id}`;
  const { draft, setDraft, restoring, discard } = useDraft({
    name: draftName,
    initial: UNTOUCHED,
    version: String(base.updated_at),
    kept: ({ basics, edits }) => {
      const open = type ? withoutSecrets(fields, edits) : {};
      return Object.keys(basics).length + Object.keys(open).length === 0 ? null : { basics, edits: open };
    },
  });
  const { basics, edits } = draft;
  const { conflict, close, guard } = useConflict<Stored>();
  const changes = changesOf(fields, provider.config, edits);
  const dirty = Object.keys(basics).length > 0 || isDirty(changes);
  // What is shown of an untouched form is the newest version: edits begin from it.
  if (!dirty && base.updated_at !== provider.updated_at) setBase(provider);
  const reset = () => {
    discard();
    setBase(provider);
  };
  const read = () => queryClient.fetchQuery({ ...providerQuery(id), staleTime: 0 });
  const put = async (over: Stored) => {
    const params = { path: { id } };
    // Each part has its own request: the first one finds out whether the version is the present one.
    let headers = ifMatch(over.etag);
    const sent = async (answer: Promise<Answer<unknown>>) => {
      await data(answer);
      headers = {};
    };
    // The configuration first: it is what is refused most often, and then nothing has changed.
    if (Object.keys(changes.put).length > 0)
      await sent(api.PUT("/api/providers/{id}/config", { params, headers, body: { config: changes.put as never } }));
    for (const key of changes.remove)
      await sent(api.DELETE("/api/providers/{id}/config/{key}", { params: { path: { id, key } }, headers }));
    if (Object.keys(basics).length > 0) await sent(api.PUT("/api/providers/{id}", { params, headers, body: basics }));
    setBase(await read());
    discard();
  };
  const save = useAction(() => guard(base, put, read), { done: "Saved: in force within a second" });
  useFocusOnMistake(form, save.problem);
  const mistakes = mistakesByField(save.problem, ["name", "description", "priority", ...fields.map(({ key }) => key)]);
  const set = (change: Basics) =>
    setDraft((old) => {
      const next = { ...old.basics, ...change };
      for (const key of Object.keys(next) as (keyof Basics)[]) if (next[key] === provider[key]) delete next[key];
      return { ...old, basics: next };
    });
  const text = (key: "name" | "description") => basics[key] ?? provider[key] ?? "";
  return (
    <Card title="Configuration">
      <form
        ref={form}
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          save.run();
        }}
      >
        <LeaveGuard dirty={dirty && !save.pending} onLeave={discard} />
        {conflict && (
          <ConflictDialog
            what="The provider"
            base={base}
            now={conflict.now}
            onMine={conflict.mine}
            onTheirs={() => {
              discard();
              setBase(conflict.now);
            }}
            onClose={close}
          />
        )}
        {dirty && <Restored restoring={restoring} discard={discard} />}
        {dirty && provider.updated_at !== base.updated_at && (
          <Notice
            tone="warn"
            action={
              <Button small onClick={reset}>
                Show their change
              </Button>
            }
          >
            This provider was changed elsewhere meanwhile. Saving asks before it replaces anything.
          </Notice>
        )}
        {save.problem && <Failure title="Not saved completely." error={save.problem} />}
        <Switch label="Enabled" checked={basics.enabled ?? provider.enabled} onChange={(enabled) => set({ enabled })} />
        <TextField
          label="Name"
          required
          value={text("name")}
          mistakes={mistakes.get("name")}
          onChange={(name) => set({ name })}
        />
        <TextField
          label="Priority"
          inputMode="numeric"
          value={String(basics.priority ?? provider.priority)}
          mistakes={mistakes.get("priority")}
          onChange={(value) => set({ priority: Number.parseInt(value, 10) || 0 })}
          hint="Providers with a higher number are asked first."
        />
        <FoldedConfigFields
          fields={fields}
          stored={provider.config}
          edits={edits}
          mistakes={mistakes}
          onEdit={(key, value) =>
            setDraft(({ edits: { [key]: _, ...others }, ...rest }) => ({
              ...rest,
              edits: value === undefined ? others : { ...others, [key]: value },
            }))
          }
        />
        <AreaField
          label="Description"
          rows={2}
          value={text("description")}
          mistakes={mistakes.get("description")}
          onChange={(value) => set({ description: value === "" ? null : value })}
        />
        <Row>
          <Button
            kind="primary"
            type="submit"
            pending={save.pending}
            disabledBecause={changes.mistakes[0] ?? (dirty ? undefined : "Nothing has been changed")}
          >
            Save
          </Button>
          {dirty && (
            <Button kind="quiet" onClick={reset}>
              Discard
            </Button>
          )}
          {changes.mistakes.length > 0 && <span className="muted">{changes.mistakes.join(". ")}</span>}
        </Row>
      </form>
    </Card>
  );
}

/** Returns fields for stored values that the type does not know. */
function unknownFields(provider: Provider, type: TypeSchema | undefined) {
  return Object.entries(provider.config)
    .filter(([key]) => !(type && key in type.configSchema))
    .map(([key, value]) => ({
      key,
      type: typeof value === "object" ? "object" : typeof value,
      description: "Not a setting of this type; it is sent or ignored as it is.",
      required: false,
      choices: null,
    }));
}
