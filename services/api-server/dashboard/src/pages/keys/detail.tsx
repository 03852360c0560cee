import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { type ReactNode, useMemo, useState } from "react";
import { type KeyView, keyQuery } from "../../api/access-queries";
import { api } from "../../api/client";
import { queryClient } from "../../api/queries";
import { ifMatch, type Versioned, versioned } from "../../api/versions";
import { exactTime, timeOfDay } from "../../format/time";
import { isSameEntry } from "../../forms/entry";
import { Button } from "../../parts/button";
import { ConflictDialog, useConflict } from "../../parts/conflict";
import { writeDraft } from "../../parts/draft";
import { RotateCw, Trash2 } from "../../parts/icons";
import { Card, Facts, Loaded, Notice, Page } from "../../parts/layout";
import { Mark } from "../../parts/mark";
import { askToDelete, askToRevoke, refreshKeys } from "./actions";
import { KeyEditor } from "./editor";
import { draftOf, stateOf } from "./form";
import { RotateDialog } from "./rotate";
import { Budget } from "./spent";

const route = getRouteApi("/keys/$id");

export default function KeyPage() {
  const { id } = route.useParams();
  const navigate = useNavigate();
  const query = useQuery({ ...keyQuery(id), staleTime: 0 });
  const [rotating, setRotating] = useState(false);
  const key = query.data;
  return (
    <Page
      title={key?.name ?? "Client key"}
      back={{ to: "/keys", label: "Client keys" }}
      actions={
        key && (
          <>
            {key.revoked_at == null && (
              <>
                <Button icon={RotateCw} onClick={() => setRotating(true)}>
                  Rotate
                </Button>
                <Button kind="danger" onClick={() => askToRevoke(key)}>
                  Revoke
                </Button>
              </>
            )}
            <Button
              kind="danger"
              icon={Trash2}
              onClick={() => askToDelete(key, () => navigate({ to: "/keys", ignoreBlocker: true }))}
            >
              Delete
            </Button>
          </>
        )
      }
    >
      <Loaded query={query} rows={8}>
        {(key) => (
          <>
            {rotating && <RotateDialog of={key} onClose={() => setRotating(false)} />}
            <State of={key} />
            <StoredKey key={id} stored={key} />
          </>
        )}
      </Loaded>
    </Page>
  );
}

function State({ of: key }: { of: KeyView }) {
  const [tone, word] = stateOf(key, Date.now());
  const facts: [string, ReactNode][] = [
    [
      "State",
      <Mark key="state" tone={tone}>
        {word}
      </Mark>,
    ],
    ["Key", <code key="hint">{key.hint}…</code>],
    ["Budget", <Budget key="budget" of={key} />],
    ["Created", exactTime(key.created_at)],
  ];
  if (key.expires_at != null) facts.push(["Expires", exactTime(key.expires_at)]);
  if (key.revoked_at != null) facts.push(["Revoked", exactTime(key.revoked_at)]);
  if (key.previous_expires_at != null) facts.push(["Previous key until", exactTime(key.previous_expires_at)]);
  return (
    <Card>
      <Facts facts={facts} />
    </Card>
  );
}

type Stored = Versioned<KeyView>;

/** Edits the version that was shown first, so that input survives changes from elsewhere. */
function StoredKey({ stored }: { stored: Stored }) {
  const [base, setBase] = useState(stored);
  const initial = useMemo(() => draftOf(base), [base]);
  const changed = !isSameEntry(draftOf(stored), initial);
  const { conflict, close, guard } = useConflict<Stored>();
  const id = base.id;
  const draftName = `key.${id}`;
  const take = (other: Stored) => {
    writeDraft(draftName, null);
    setBase(other);
  };
  const put = async (over: Stored, body: Record<string, unknown>) => {
    const params = { path: { id } };
    const headers = ifMatch(over.etag);
    const saved = await versioned<KeyView>(api.PUT("/api/keys/{id}", { params, body: body as never, headers }));
    queryClient.setQueryData(keyQuery(id).queryKey, saved);
    setBase(saved);
    await refreshKeys();
  };
  return (
    <>
      {conflict && (
        <ConflictDialog
          what="The key"
          base={base}
          now={conflict.now}
          onMine={conflict.mine}
          onTheirs={() => take(conflict.now)}
          onClose={close}
        />
      )}
      {changed && (
        <Notice
          tone="warn"
          action={
            <Button small onClick={() => take(stored)}>
              Show the stored one
            </Button>
          }
        >
          The key was changed elsewhere at {timeOfDay(stored.updated_at)}. Saving asks before it replaces that change.
        </Notice>
      )}
      <KeyEditor
        key={base.updated_at}
        initial={initial}
        action="Save"
        done="Saved. It is in force within a second."
        exists
        name={draftName}
        version={String(base.updated_at)}
        save={(body) =>
          guard(
            base,
            (over) => put(over, body),
            () => queryClient.fetchQuery({ ...keyQuery(id), staleTime: 0 }),
          )
        }
      />
    </>
  );
}
