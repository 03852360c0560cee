import css from "./changes.module.css";
import type { FieldChange } from "./field-changes";

/** Shows values before and after a change: a sign and a colour each. */
export function Changes({ changes }: { changes: FieldChange[] }) {
  return (
    <dl className={css.changes}>
      {changes.map(({ field, before, after }) => (
        <div key={field}>
          <dt>{field}</dt>
          <dd>
            {before !== null && <del>− {before}</del>}
            {after !== null && <ins>+ {after}</ins>}
          </dd>
        </div>
      ))}
    </dl>
  );
}
