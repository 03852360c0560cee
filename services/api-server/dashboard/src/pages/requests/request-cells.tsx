/** Contents of cells of requests. */

import type { RequestRow } from "../../api/request-list";
import { UNKNOWN } from "../../format/time";
import css from "./requests.module.css";

export function ModelName({ row: { model, provider_id } }: { row: RequestRow }) {
  return (
    <>
      {model || UNKNOWN}
      {provider_id && provider_id !== model && <small> {provider_id}</small>}
    </>
  );
}

/** Shows why a request failed, else what was asked, else where. */
export function Question({ row, preview }: { row: RequestRow; preview: string | undefined }) {
  if (row.error) return <span className={css.error}>{row.error}</span>;
  return preview || <span className="muted">{row.path}</span>;
}
