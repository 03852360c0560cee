/** Contents of cells of requests. */

import type { RequestRow } from "../../api/request-filters";
import { UNKNOWN } from "../../format/time";
import css from "./rows.module.css";

/** Returns the cost in dollars; `null` if it is unknown. */
export function costOf({ cost_nanos }: RequestRow): number | null {
  return cost_nanos == null ? null : cost_nanos / 1e9;
}

export function ModelName({ row: { model, provider_id, attempts } }: { row: RequestRow }) {
  return (
    <>
      {model || UNKNOWN}
      {provider_id && provider_id !== model && <small> {provider_id}</small>}
      {attempts != null && attempts > 1 && <small title={`${attempts} attempts`}> ↷{attempts}</small>}
    </>
  );
}

/** Shows why a request failed, else what was asked, else where. */
export function Question({ row, preview }: { row: RequestRow; preview: string | undefined }) {
  if (row.error) return <span className={css.error}>{row.error}</span>;
  return preview || <span className="muted">{row.path}</span>;
}
