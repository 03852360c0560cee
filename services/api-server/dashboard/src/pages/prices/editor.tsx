/** The operator's own prices, as rows with fields or as a JSON document. */

import { type RefObject, useImperativeHandle, useMemo, useRef, useState } from "react";
import { api, data } from "../../api/client";
import { mistakesByPath, useFocusOnMistake } from "../../api/mistakes";
import { Problem } from "../../api/problem";
import { pricesQuery, queryClient } from "../../api/queries";
import { exactTime, timeOfDay } from "../../format/time";
import { useAction } from "../../parts/action";
import { Button, Row } from "../../parts/button";
import { ConflictDialog, useConflict } from "../../parts/conflict";
import { ask } from "../../parts/dialog";
import { useDraft, writeDraft } from "../../parts/draft";
import { AreaField } from "../../parts/field";
import { Plus } from "../../parts/icons";
import { Card, Failure, Notice, Stack } from "../../parts/layout";
import { LeaveGuard } from "../../parts/leave-guard";
import { Restored } from "../../parts/restored";
import { toast } from "../../parts/toast";
import {
  asForm,
  asJson,
  draftOf,
  idOf,
  isSame,
  overrideOf,
  type PricesDraft,
  pathsOf,
  type RowDraft,
  rowDraft,
  rowsById,
  sendableOf,
  shortMistake,
} from "./form";
import css from "./prices.module.css";
import { RowFields } from "./row-fields";
import type { PriceTable } from "./table";

const DRAFT = "prices";

/** What the table does with the form. */
export interface Overriding {
  /** Opens the row of this id, or a copy of the given one. */
  override: (row: unknown, id: string) => void;
}

interface EditorProps {
  table: PriceTable;
  handle: RefObject<Overriding | null>;
}

/** Edits the version that was shown first, so that input survives changes from elsewhere. */
export function OwnPrices({ table, handle }: EditorProps) {
  const [base, setBase] = useState(table);
  const { conflict, close, guard } = useConflict<PriceTable>();
  const take = (other: PriceTable) => {
    writeDraft(DRAFT, null);
    setBase(other);
  };
  const read = () => queryClient.fetchQuery({ ...pricesQuery, staleTime: 0 });
  // The server has no version to compare with: it is looked up right before.
  const put = async (over: PriceTable, document: object | null) => {
    if (versionOf(await read()) !== versionOf(over))
      throw new Problem("Your prices were changed elsewhere.", { status: 412 });
    if (document === null) await data(api.DELETE("/api/prices"));
    else await data(api.PUT("/api/prices", { body: document as never }));
    writeDraft(DRAFT, null);
    setBase(await read());
  };
  return (
    <>
      {conflict && (
        <ConflictDialog
          what="The document of your prices"
          base={rowsById(base.overrides)}
          now={rowsById(conflict.now.overrides)}
          onMine={conflict.mine}
          onTheirs={() => take(conflict.now)}
          onClose={close}
        />
      )}
      {versionOf(table) > versionOf(base) && (
        <Notice
          tone="warn"
          action={
            <Button small onClick={() => take(table)}>
              Show the stored ones
            </Button>
          }
        >
          Your prices were changed elsewhere at {timeOfDay(table.updated_at)}. Saving asks before it replaces that
          change.
        </Notice>
      )}
      <Editor
        key={versionOf(base)}
        base={base}
        handle={handle}
        save={(document) => guard(base, (over) => put(over, document), read)}
      />
    </>
  );
}

/** Returns when the prices were written; zero if there are none. */
function versionOf({ updated_at }: PriceTable): number {
  return updated_at ?? 0;
}

interface FormProps {
  base: PriceTable;
  handle: RefObject<Overriding | null>;
  /** Saves a document; `null` removes the stored one. */
  save: (document: object | null) => Promise<void>;
}

function Editor({ base, handle, save }: FormProps) {
  const form = useRef<HTMLFormElement>(null);
  const initial = useMemo(() => draftOf(base.overrides), [base]);
  const version = String(versionOf(base));
  const { draft, setDraft, restoring, discard } = useDraft<PricesDraft>({
    name: DRAFT,
    initial,
    version,
    kept: (draft) => (isSame(initial, draft) ? null : draft),
  });
  const [opened, setOpened] = useState<Opened | null>(null);
  const [unread, setUnread] = useState<string | null>(null);
  const dirty = !isSame(initial, draft);
  const action = useAction(
    async () => {
      const sendable = sendableOf(draft);
      if ("mistake" in sendable) throw new Problem(sendable.mistake, { status: 400 });
      const { document, mistakes } = sendable;
      if (mistakes.length > 0) throw new Problem("Some fields cannot be sent.", { status: 400, mistakes });
      const isEmpty = draft.mode === "form" && draft.rows.length === 0 && Object.keys(draft.head).length === 0;
      await save(isEmpty ? null : document);
    },
    { done: "Your prices are in force within a second" },
  );
  useFocusOnMistake(form, action.problem);
  const setRows = (change: (old: RowDraft[]) => RowDraft[]) => setDraft((old) => ({ ...old, rows: change(old.rows) }));
  const add = (row: RowDraft) => {
    setOpened({ key: row.key });
    setRows((old) => [...old, row]);
  };
  const toForm = () => {
    const read = asForm(draft);
    setUnread("mistake" in read ? read.mistake : null);
    if (!("mistake" in read)) setDraft(read);
  };
  useImperativeHandle(handle, () => ({
    override: (row, id) => {
      const known = draft.rows.find((one) => idOf(one).toLowerCase() === id.toLowerCase());
      if (draft.mode === "json") toast("Go back to the form first");
      else if (known === undefined) add(overrideOf(row));
      else setOpened({ key: known.key });
      form.current?.scrollIntoView({ block: "nearest" });
    },
  }));
  const mistakes = new Map(
    [...mistakesByPath(action.problem, pathsOf(draft))].map(([path, all]) => [path, all.map(shortMistake)]),
  );
  return (
    <form
      ref={form}
      noValidate
      aria-label="Your prices"
      onSubmit={(event) => {
        event.preventDefault();
        action.run();
      }}
    >
      <LeaveGuard dirty={dirty && !action.pending} keptBySearch onLeave={discard} />
      <Card
        title="Your prices"
        actions={
          <>
            {base.updated_at != null && <span className="muted">changed {exactTime(base.updated_at)}</span>}
            <Button small kind="quiet" onClick={() => (draft.mode === "form" ? setDraft(asJson) : toForm())}>
              {draft.mode === "form" ? "As JSON" : "As a form"}
            </Button>
          </>
        }
      >
        <Stack>
          {dirty && <Restored restoring={restoring} discard={discard} />}
          {action.problem && <Failure title="Not saved." error={action.problem} />}
          {unread && <Notice tone="bad">{unread}</Notice>}
          {draft.mode === "json" ? (
            <AreaField
              label="Document"
              className="mono"
              rows={16}
              value={draft.text}
              onChange={(text) => setDraft((old) => ({ ...old, text }))}
              hint="It replaces all of your earlier prices. Rows may have more fields here than in the form."
            />
          ) : (
            <Rows draft={draft} opened={opened} mistakes={mistakes} setRows={setRows} />
          )}
          <Row>
            {draft.mode === "form" && (
              <Button icon={Plus} onClick={() => add(rowDraft({}))}>
                Add a price
              </Button>
            )}
            {(dirty || draft.rows.length > 0) && (
              <Button
                kind="primary"
                type="submit"
                pending={action.pending}
                disabledBecause={dirty ? undefined : "Nothing has been changed"}
              >
                Save
              </Button>
            )}
            {dirty && <Button onClick={discard}>Undo changes</Button>}
            {base.overrides != null && !dirty && (
              <Button kind="danger" onClick={() => askToRemove(() => save(null))}>
                Remove all of yours
              </Button>
            )}
          </Row>
        </Stack>
      </Card>
    </form>
  );
}

/** The row whose fields are shown now. */
interface Opened {
  key: number;
}

interface RowsProps {
  draft: PricesDraft;
  opened: Opened | null;
  mistakes: Map<string, string[]>;
  setRows: (change: (old: RowDraft[]) => RowDraft[]) => void;
}

function Rows({ draft, opened, mistakes, setRows }: RowsProps) {
  if (draft.rows.length === 0) {
    return (
      <p className="muted">
        None. Add one for a model that the table below does not have, or whose price is another one for you: your own
        prices win over imported and shipped ones.
      </p>
    );
  }
  return (
    <div className={css.rows}>
      {draft.rows.map((row, at) => (
        <RowFields
          key={row.key}
          row={row}
          at={at}
          opening={row.key === opened?.key ? opened : null}
          mistakes={mistakes}
          onChange={(change) => setRows((old) => old.map((one) => (one.key === row.key ? change(one) : one)))}
          onRemove={() => setRows((old) => old.filter(({ key }) => key !== row.key))}
        />
      ))}
    </div>
  );
}

function askToRemove(remove: () => Promise<void>): void {
  ask({
    title: "Remove your prices?",
    text: "The imported and shipped prices apply again. Costs that are in the log stay as they are.",
    action: "Remove",
    danger: true,
    run: async () => {
      await remove();
      toast("Your prices were removed", { kind: "ok" });
    },
  });
}
