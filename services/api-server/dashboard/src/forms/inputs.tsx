/** Inputs for the fields of a schema, with its descriptions and bounds. */

import { createContext, type ReactNode, useContext } from "react";
import { AreaField, Prose, SelectField, Switch, TextField } from "../parts/field";
import parts from "../parts/parts.module.css";
import { countIn, type Entry, listOf, textAt, withText } from "./entry";
import css from "./forms.module.css";
import { boundsOf, type FormNode, isRequired, nodeAt, readable, unitOf } from "./schema";

interface Form {
  schema: FormNode;
  entry: Entry;
  /** Mistakes by path, of which each begins with `prefix`. */
  mistakes: Map<string, string[]>;
  prefix?: string;
  onChange: (change: (old: Entry) => Entry) => void;
}

const FormContext = createContext<Form | null>(null);

/** Gives the inputs in it the document that they edit. */
export function FormOf({ children, ...form }: Form & { children: ReactNode }) {
  return <FormContext value={form}>{children}</FormContext>;
}

export function useForm(): Form {
  const form = useContext(FormContext);
  if (form === null) throw new Error("There is no form around this");
  return form;
}

export interface InputProps {
  /** Path of the field in the schema. */
  at: string;
  label: string;
  /** Instead of the description of the schema. */
  hint?: string;
  /** Words for the choices; a choice without them is shown as it is. */
  options?: readonly (readonly [value: string, label: string])[] | undefined;
  /** What applies while the field is unset. */
  unset?: string | undefined;
  /** The choice that is shown while none is set; the default of the schema, if it is not given. */
  byDefault?: string;
  rows?: number;
  mono?: boolean;
  /** Id of a list of suggestions. */
  list?: string;
  /** Whether the unit and the bounds are told elsewhere. */
  bare?: boolean;
}

/** An input for one field. */
export function Input({ at, label, hint, options, unset, byDefault, rows = 2, mono, list, bare }: InputProps) {
  const { schema, entry, mistakes, prefix = "", onChange } = useForm();
  const node = nodeAt(schema, at);
  const text = textAt(schema, entry, at);
  const words = node.items?.enum;
  const common = {
    label: bare ? label : labelOf(at, label),
    required: isWanted(schema, entry, at),
    mistakes: mistakes.get(prefix + at),
    hint: hint ?? (bare ? node.description : hintOf(at, node, text)) ?? "",
    value: text,
    onChange: (typed: string) =>
      onChange((old) => {
        const cleared = withText(schema, old, at, "");
        return typed === byDefault && !(at in cleared.texts) ? cleared : withText(schema, old, at, typed);
      }),
  };
  if (node.type === "boolean") return <BooleanInput {...common} byDefault={node.default === true} />;
  if (words) return <Choices {...common} words={words} unset={unset} />;
  if (options || node.enum) {
    const choices = (options ?? node.enum?.map((word) => [word, word] as const) ?? []).map(
      ([value, words]): [string, string] => [value, words],
    );
    const first: [string, string][] = unset === undefined ? [] : [["", unset]];
    return (
      <SelectField
        {...common}
        value={text || (byDefault ?? String(node.default ?? ""))}
        options={[...first, ...choices]}
      />
    );
  }
  if (node.type === "array") return <AreaField {...common} className="mono" rows={rows} placeholder={unset} />;
  if (node.type === "object") return <AreaField {...common} className="mono" rows={rows} placeholder={unset} />;
  const inputMode = node.type === "integer" ? "numeric" : node.type === "number" ? "decimal" : undefined;
  const type = node.type === "time" ? "datetime-local" : "text";
  return <TextField {...common} type={type} inputMode={inputMode} placeholder={unset} mono={mono} list={list} />;
}

/** Returns whether a field has to be filled in: one of a section only once the section has another one. */
function isWanted(schema: FormNode, entry: Entry, path: string): boolean {
  const section = path.slice(0, Math.max(0, path.lastIndexOf(".")));
  return isRequired(schema, path) && (section === "" || countIn(schema, entry, section) > 0);
}

function labelOf(path: string, label: string): string {
  const unit = unitOf(path);
  return unit === null || label.includes(unit) ? label : `${label} in ${unit}`;
}

function hintOf(path: string, node: FormNode, text: string): string {
  const value = readable(path, text);
  const { description = "" } = node;
  const bounds = node.maximum !== undefined && description.includes(node.maximum.toLocaleString("en-GB"));
  return [value && `${value}.`, description, !bounds && boundsOf(path, node)].filter(Boolean).join(" ");
}

interface CommonProps {
  label: string;
  mistakes: string[] | undefined;
  hint: string;
  value: string;
  onChange: (text: string) => void;
}

function BooleanInput({ label, mistakes, hint, value, onChange, byDefault }: CommonProps & { byDefault: boolean }) {
  return (
    <div className={parts.field}>
      <div>
        <Switch
          label={label}
          checked={value === "" ? byDefault : value === "true"}
          onChange={(checked) => onChange(String(checked))}
        />
      </div>
      <Mistakes of={mistakes} />
      {hint && (
        <div className={parts.hint}>
          <Prose text={hint} />
        </div>
      )}
    </div>
  );
}

/** Boxes for the words of a list. */
function Choices({
  label,
  mistakes,
  hint,
  value,
  onChange,
  words,
  unset,
}: CommonProps & { words: string[]; unset: string | undefined }) {
  const chosen = listOf(value);
  const change = (word: string, checked: boolean) =>
    onChange(words.filter((one) => (one === word ? checked : chosen.includes(one))).join("\n"));
  return (
    <fieldset className={css.choices}>
      <legend>{label}</legend>
      {words.map((word) => (
        <label key={word}>
          <input
            type="checkbox"
            aria-invalid={Boolean(mistakes)}
            checked={chosen.includes(word)}
            onChange={({ target }) => change(word, target.checked)}
          />
          {word}
        </label>
      ))}
      <div className={css.under}>
        <Mistakes of={mistakes} />
        <div className={parts.hint}>
          <Prose text={chosen.length === 0 && unset !== undefined ? unset : hint} />
        </div>
      </div>
    </fieldset>
  );
}

export function Mistakes({ of }: { of: string[] | undefined }) {
  return of?.map((mistake) => (
    <div key={mistake} className={parts.mistake}>
      {mistake}
    </div>
  ));
}
