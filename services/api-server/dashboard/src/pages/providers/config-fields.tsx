/** Inputs for the configuration of a provider. */

import { useState } from "react";
import { Button, Row } from "../../parts/button";
import { AreaField, Prose, SecretField, SelectField, TextField } from "../../parts/field";
import { Tag } from "../../parts/mark";
import css from "../../parts/parts.module.css";
import { type ConfigField, type Edits, isMasked, labelOf, shown } from "./form";

interface Props {
  fields: ConfigField[];
  stored: Record<string, unknown>;
  edits: Edits;
  mistakes: Map<string, string[]>;
  onEdit: (key: string, text: string | null | undefined) => void;
}

export function ConfigFields(props: Props) {
  return (
    <>
      {props.fields.map((field) => (
        <ConfigInput key={field.key} field={field} {...props} />
      ))}
    </>
  );
}

function ConfigInput({ field, stored, edits, mistakes, onEdit }: Props & { field: ConfigField }) {
  const { key } = field;
  const known = stored[key];
  const edited = edits[key];
  const value = edited === undefined ? shown(isMasked(known) ? undefined : known) : (edited ?? "");
  const common = {
    label: labelOf(key),
    required: field.required,
    mistakes: mistakes.get(key),
    hint: field.description,
    value,
    onChange: (text: string) => onEdit(key, text),
  };
  const placeholder =
    field.default !== undefined
      ? String(field.default)
      : field.example === undefined
        ? ""
        : `for example ${String(field.example)}`;
  if (isMasked(known) && (edited === undefined || edited === null)) {
    return <StoredSecret field={field} removed={edited === null} onEdit={onEdit} />;
  }
  if (field.type === "object")
    return (
      <AreaField
        {...common}
        className="mono"
        placeholder={key === "headers" ? "X-Name: value" : "name: value"}
        rows={3}
      />
    );
  if (field.sensitive) return <SecretField {...common} placeholder={placeholder} />;
  if (field.choices) {
    const byDefault = typeof field.default === "string" ? field.default : field.choices[0];
    return (
      <SelectField
        {...common}
        options={[
          ["", `${byDefault} (default)`],
          ...field.choices
            .filter((choice) => choice !== byDefault || value === choice)
            .map((choice): [string, string] => [choice, choice]),
        ]}
      />
    );
  }
  return (
    <TextField {...common} mono placeholder={placeholder} inputMode={field.type === "number" ? "numeric" : undefined} />
  );
}

function StoredSecret({ field, removed, onEdit }: { field: ConfigField; removed: boolean; onEdit: Props["onEdit"] }) {
  const { key } = field;
  return (
    <div className={css.field}>
      <span className={css.fieldName}>{labelOf(key)}</span>
      <Row>
        {removed ? <Tag tone="warn">will be removed</Tag> : <Tag tone="ok">set</Tag>}
        {removed ? (
          <Button small onClick={() => onEdit(key, undefined)}>
            Keep it
          </Button>
        ) : (
          <>
            <Button small onClick={() => onEdit(key, "")}>
              Replace
            </Button>
            {!field.required && (
              <Button small kind="quiet" onClick={() => onEdit(key, null)}>
                Remove
              </Button>
            )}
          </>
        )}
      </Row>
      <div className={css.hint}>
        <Prose text={field.description} /> It is never shown again.
      </div>
    </div>
  );
}

/** Shows the fields that most providers need, and the others on demand. */
export function FoldedConfigFields(props: Props) {
  const isUsed = (field: ConfigField) =>
    field.required ||
    field.key === "baseURL" ||
    field.key === "apiKey" ||
    field.key in props.stored ||
    props.mistakes.has(field.key);
  const [first] = useState(() => new Set(props.fields.filter(isUsed).map(({ key }) => key)));
  const main = props.fields.filter((field) => first.has(field.key) || props.mistakes.has(field.key));
  const others = props.fields.filter((field) => !main.includes(field));
  return (
    <>
      <ConfigFields {...props} fields={main} />
      {others.length > 0 && (
        <details>
          <summary>{others.length} more settings</summary>
          <div className={css.stack} style={{ paddingTop: 12 }}>
            <ConfigFields {...props} fields={others} />
          </div>
        </details>
      )}
    </>
  );
}
