/** What can be done with marked requests. */

import { useQueryClient } from "@tanstack/react-query";
import { asProblem, Problem } from "../../api/problem";
import { deleteRequest, type RequestRow } from "../../api/request-list";
import { count, plural } from "../../format/numbers";
import { Button } from "../../parts/button";
import { ask } from "../../parts/dialog";
import { Download, Trash2 } from "../../parts/icons";
import { toast } from "../../parts/toast";
import css from "./list.module.css";

interface Props {
  rows: RequestRow[];
  onExport: () => void;
  /** Called with the ids of requests that are gone. */
  onDeleted: (ids: string[]) => void;
  onClear: () => void;
}

export function MarkedActions({ rows, onExport, onDeleted, onClear }: Props) {
  const client = useQueryClient();
  if (rows.length === 0) return null;
  const remove = async () => {
    const { gone, failure } = await removeAll(rows);
    onDeleted(gone);
    for (const kind of ["total", "figures"]) void client.invalidateQueries({ queryKey: ["requests", kind] });
    if (failure !== null) {
      const left = plural(rows.length - gone.length, "request");
      throw new Problem(`${count(gone.length)} deleted. ${left} could not be: ${failure.message}`, failure.details);
    }
    toast(`${plural(gone.length, "request")} deleted`, { kind: "ok" });
  };
  return (
    <div className={css.actions} role="toolbar" aria-label="Marked requests">
      <span role="status">{count(rows.length)} marked</span>
      <Button small icon={Download} onClick={onExport}>
        Export
      </Button>
      <Button
        small
        kind="danger"
        icon={Trash2}
        onClick={() =>
          ask({
            title: `Delete ${plural(rows.length, "request")}?`,
            text: "They are deleted with their answers. What sums and budgets have counted stays.",
            action: "Delete",
            danger: true,
            run: remove,
          })
        }
      >
        Delete
      </Button>
      <Button small kind="quiet" onClick={onClear}>
        Clear marks
      </Button>
    </div>
  );
}

/** Deletes requests one after the other. One that is gone already counts as deleted; the first failure ends it. */
export async function removeAll(rows: { request_id: string }[], remove: (id: string) => Promise<void> = deleteRequest) {
  const gone: string[] = [];
  for (const { request_id } of rows) {
    try {
      await remove(request_id);
    } catch (error) {
      const failure = asProblem(error);
      if (!failure.isNotFound) return { gone, failure };
    }
    gone.push(request_id);
  }
  return { gone, failure: null };
}
