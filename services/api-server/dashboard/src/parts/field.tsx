import { type ComponentProps, type ReactNode, useEffect, useId, useState } from "react";
import { classes, IconButton } from "./button";
import { Eye, EyeOff, Search } from "./icons";
import css from "./parts.module.css";

/** Shows what is between backticks as code. */
export function Prose({ text }: { text: string }) {
  return text.split("`").map((part, at) => (at % 2 === 1 ? <code key={at}>{part}</code> : part));
}

interface FieldProps {
  label: string;
  hint?: ReactNode;
  mistakes?: string[] | undefined;
  required?: boolean;
  children: (id: string, props: { "aria-describedby": string; "aria-invalid": boolean }) => ReactNode;
}

export function Field({ label, hint, mistakes, required, children }: FieldProps) {
  const id = useId();
  return (
    <div className={css.field}>
      <label htmlFor={id}>
        {label}
        {required && <span className={css.hint}> required</span>}
      </label>
      {children(id, { "aria-describedby": `${id}-more`, "aria-invalid": Boolean(mistakes?.length) })}
      <div id={`${id}-more`}>
        {mistakes?.map((mistake) => (
          <div key={mistake} className={css.mistake}>
            {mistake}
          </div>
        ))}
        {hint && <div className={css.hint}>{typeof hint === "string" ? <Prose text={hint} /> : hint}</div>}
      </div>
    </div>
  );
}

type TextProps = Omit<FieldProps, "children"> &
  Omit<ComponentProps<"input">, "onChange" | "value" | "children"> & {
    value: string;
    onChange: (value: string) => void;
    mono?: boolean;
  };

export function TextField({ label, hint, mistakes, required, value, onChange, mono, className, ...rest }: TextProps) {
  return (
    <Field label={label} hint={hint} mistakes={mistakes} required={required}>
      {(id, props) => (
        <input
          id={id}
          {...props}
          autoComplete="off"
          spellCheck={false}
          {...rest}
          className={classes(css.input, mono && "mono", className)}
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

type AreaProps = Omit<FieldProps, "children"> &
  Omit<ComponentProps<"textarea">, "onChange" | "value" | "children"> & {
    value: string;
    onChange: (value: string) => void;
  };

export function AreaField({ label, hint, mistakes, required, value, onChange, className, ...rest }: AreaProps) {
  return (
    <Field label={label} hint={hint} mistakes={mistakes} required={required}>
      {(id, props) => (
        <textarea
          id={id}
          {...props}
          spellCheck={false}
          {...rest}
          className={classes(css.input, className)}
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

type SelectProps = Omit<FieldProps, "children"> & {
  value: string;
  onChange: (value: string) => void;
  options: (string | [value: string, label: string])[];
};

export function SelectField({ label, hint, mistakes, required, value, onChange, options }: SelectProps) {
  return (
    <Field label={label} hint={hint} mistakes={mistakes} required={required}>
      {(id, props) => <Select id={id} {...props} value={value} onChange={onChange} options={options} />}
    </Field>
  );
}

export function Select({
  value,
  onChange,
  options,
  ...rest
}: Omit<ComponentProps<"select">, "onChange"> & Pick<SelectProps, "value" | "onChange" | "options">) {
  return (
    <select {...rest} className={css.input} value={value} onChange={(event) => onChange(event.target.value)}>
      {options.map((option) => {
        const [key, text] = typeof option === "string" ? [option, option] : option;
        return (
          <option key={key} value={key}>
            {text}
          </option>
        );
      })}
    </select>
  );
}

/** A field for a secret that is being typed. What is stored is never shown. */
export function SecretField(props: TextProps) {
  const [shown, setShown] = useState(false);
  const { label, hint, mistakes, required, value, onChange, ...rest } = props;
  return (
    <Field label={label} hint={hint} mistakes={mistakes} required={required}>
      {(id, described) => (
        <div className={css.joined}>
          <input
            id={id}
            {...described}
            {...rest}
            type={shown ? "text" : "password"}
            autoComplete="new-password"
            spellCheck={false}
            className={classes(css.input, "mono")}
            value={value}
            onChange={(event) => onChange(event.target.value)}
          />
          <IconButton
            icon={shown ? EyeOff : Eye}
            label={shown ? "Hide what was typed" : "Show what was typed"}
            onClick={() => setShown(!shown)}
          />
        </div>
      )}
    </Field>
  );
}

interface SwitchProps {
  label: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
  /** Whether only the switch is visible. */
  bare?: boolean;
  pending?: boolean;
}

export function Switch({ label, checked, onChange, bare, pending }: SwitchProps) {
  return (
    <button
      type="button"
      role="switch"
      aria-checked={checked}
      aria-label={label}
      aria-disabled={pending}
      title={bare ? label : undefined}
      className={css.switch}
      onClick={() => {
        if (!pending) onChange(!checked);
      }}
    >
      {!bare && label}
    </button>
  );
}

interface SearchProps {
  label: string;
  value: string;
  /** Called 300 ms after the last key, and at once with Enter. */
  onCommit: (value: string) => void;
  placeholder?: string;
}

/** A search field, focused by `/`. */
export function SearchField({ label, value, onCommit, placeholder }: SearchProps) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => onCommit(text), 300);
    return () => clearTimeout(timer);
  }, [text, value, onCommit]);
  return (
    <search className={css.joined} style={{ flex: "1 1 200px", position: "relative" }}>
      <Search
        size={16}
        aria-hidden="true"
        style={{ position: "absolute", insetInlineStart: 10, top: "calc(50% - 8px)", color: "var(--faint)" }}
      />
      <input
        type="search"
        className={css.input}
        style={{ paddingInlineStart: 34 }}
        aria-label={label}
        aria-keyshortcuts="/"
        data-shortcut="/"
        placeholder={placeholder ?? label}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") onCommit(text);
        }}
      />
    </search>
  );
}
