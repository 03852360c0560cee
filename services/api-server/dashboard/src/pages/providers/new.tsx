import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { api, data } from "../../api/client";
import { mistakesByField, useFocusOnMistake } from "../../api/mistakes";
import { providerTypesQuery, queryClient } from "../../api/queries";
import { matches } from "../../app/palette-match";
import { useAction } from "../../parts/action";
import { Button, Row } from "../../parts/button";
import { useDraft, writeDraft } from "../../parts/draft";
import { AreaField, Prose, SearchField, TextField } from "../../parts/field";
import { Card, Empty, Failure, Loaded, Notice, Page } from "../../parts/layout";
import { LeaveGuard } from "../../parts/leave-guard";
import { Restored } from "../../parts/restored";
import { FoldedConfigFields } from "./config-fields";
import { changesOf, type Edits, fieldsOf, idFrom, type TypeSchema, withoutSecrets } from "./form";
import css from "./providers.module.css";
import { requestTest } from "./test-panel";

const route = getRouteApi("/providers/new");

export default function NewProvider() {
  const { type } = route.useSearch();
  const types = useQuery(providerTypesQuery);
  return (
    <Page
      title="Add a provider"
      back={{ to: "/providers", label: "Providers" }}
      about={type ? undefined : "Choose what answers the requests."}
    >
      <Loaded query={types} rows={8}>
        {(list) => {
          const chosen = list.find(({ value }) => value === type);
          return chosen ? <ProviderForm key={chosen.value} type={chosen} /> : <TypeCards types={list} />;
        }}
      </Loaded>
    </Page>
  );
}

function TypeCards({ types }: { types: TypeSchema[] }) {
  const [wanted, setWanted] = useState("");
  const found = types.filter(({ label, description }) => matches(`${label} ${description}`, wanted));
  return (
    <>
      <SearchField label="Search providers" value={wanted} onCommit={setWanted} />
      {found.length === 0 && (
        <Empty title="No provider has this name">
          Most services speak OpenAI's API: choose OpenAI-compatible, and enter their address.
        </Empty>
      )}
      <TypeList types={found} />
    </>
  );
}

function TypeList({ types }: { types: TypeSchema[] }) {
  return (
    <div className={css.types}>
      {types.map(({ value, label, description }) => (
        <Link key={value} to="/providers/new" search={{ type: value }} className={css.type} data-row>
          <strong>{label}</strong>
          <span>
            <Prose text={description} />
          </span>
        </Link>
      ))}
    </div>
  );
}

interface NewDraft {
  name: string;
  /** `null` until it differs from the one that is made of the name. */
  id: string | null;
  priority: string;
  description: string;
  edits: Edits;
}

function ProviderForm({ type }: { type: TypeSchema }) {
  const navigate = useNavigate();
  const form = useRef<HTMLFormElement>(null);
  const fields = fieldsOf(type);
  const [initial] = useState<NewDraft>(() => ({
    name: type.label,
    id: null,
    priority: "0",
    description: "",
    edits: {},
  }));
  const isSame = (draft: NewDraft) => JSON.stringify(draft) === JSON.stringify(initial);
  const draftName = `provider.new.${type.value}`;
  const { draft, setDraft, restoring, discard } = useDraft({
    name: draftName,
    initial,
    kept: (draft) => (isSame(draft) ? null : { ...draft, edits: withoutSecrets(fields, draft.edits) }),
  });
  const { name, id, priority, description, edits } = draft;
  const set = (change: Partial<NewDraft>) => setDraft((old) => ({ ...old, ...change }));
  const changes = changesOf(fields, {}, edits);
  const realId = id ?? idFrom(name);
  const save = useAction(
    () =>
      data(
        api.POST("/api/providers", {
          body: {
            id: realId,
            name: name.trim(),
            type: type.value,
            priority: Number(priority) || 0,
            description: description.trim() || null,
            config: changes.put as never,
          },
        }),
      ),
    {
      after: async ({ id }) => {
        writeDraft(draftName, null);
        requestTest(id);
        await queryClient.invalidateQueries({ queryKey: ["providers"] });
        await navigate({ to: "/providers/$id", params: { id }, ignoreBlocker: true });
      },
    },
  );
  const mistakes = mistakesByField(save.problem, [
    "id",
    "name",
    "priority",
    "description",
    ...fields.map(({ key }) => key),
  ]);
  useFocusOnMistake(form, save.problem);
  const edit = (key: string, text: string | null | undefined) =>
    setDraft((old) => {
      const { [key]: _, ...others } = old.edits;
      return { ...old, edits: text === undefined ? others : { ...others, [key]: text } };
    });
  return (
    <form
      ref={form}
      className={css.form}
      onSubmit={(event) => {
        event.preventDefault();
        save.run();
      }}
    >
      <LeaveGuard dirty={!isSame(draft) && !save.pending} onLeave={discard} />
      <Restored restoring={restoring} discard={discard} />
      {save.problem && <Failure title="Not saved." error={save.problem} />}
      <Card title={type.label} actions={<Link to="/providers/new">Another type</Link>}>
        <div className={css.form}>
          <p className="muted">
            <Prose text={type.description} />
          </p>
          <TextField
            label="Name"
            required
            value={name}
            mistakes={mistakes.get("name")}
            onChange={(name) => set({ name })}
          />
          <TextField
            label="Id"
            required
            mono
            value={realId}
            mistakes={mistakes.get("id")}
            onChange={(id) => set({ id })}
            hint={`Clients can choose it with ${realId || "id"}/model.`}
          />
          <FoldedConfigFields fields={fields} stored={{}} edits={edits} mistakes={mistakes} onEdit={edit} />
          <details>
            <summary>Priority and description</summary>
            <div className={css.form} style={{ paddingTop: 12 }}>
              <TextField
                label="Priority"
                inputMode="numeric"
                value={priority}
                mistakes={mistakes.get("priority")}
                onChange={(priority) => set({ priority })}
                hint="Providers with a higher number are asked first."
              />
              <AreaField
                label="Description"
                value={description}
                mistakes={mistakes.get("description")}
                onChange={(description) => set({ description })}
              />
            </div>
          </details>
          {changes.mistakes.length > 0 && <Notice tone="warn">{changes.mistakes.join(". ")}.</Notice>}
          <Row>
            <Button kind="primary" type="submit" pending={save.pending} disabledBecause={changes.mistakes[0]}>
              Save and test
            </Button>
            <Link to="/providers">Cancel</Link>
          </Row>
        </div>
      </Card>
    </form>
  );
}
