import { AreaField, TextField } from "../../parts/field";
import { type Mistakes, NO_PARAMETERS, type Parameters } from "./parameters";
import css from "./playground.module.css";

interface ParameterProps {
  given: Parameters;
  mistakes: Mistakes;
  onChange: (change: Partial<Parameters>) => void;
}

interface ParameterField {
  name: keyof Parameters;
  label: string;
  placeholder?: string;
  hint?: string;
  /** Keyboard of a number. */
  digits?: "decimal" | "numeric";
  /** Lines of a text. */
  rows?: number;
}

/** The fields, in their order: numbers are `digits`, and JSON has an example. */
const FIELDS: ParameterField[] = [
  { name: "system", label: "System prompt", rows: 2 },
  { name: "temperature", label: "Temperature", digits: "decimal" },
  { name: "topP", label: "Top p", digits: "decimal" },
  { name: "maxTokens", label: "Maximum tokens", digits: "numeric" },
  {
    name: "tools",
    label: "Tools",
    rows: 4,
    placeholder: '[{"type": "function", "function": {"name": "read_file", "parameters": {"type": "object"}}}]',
    hint: "A JSON array. Calls are shown with their arguments; nothing is run.",
  },
  {
    name: "schema",
    label: "JSON schema of the answer",
    rows: 4,
    placeholder: '{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}',
    hint: 'A schema, or `{"name": …, "strict": true, "schema": …}`.',
  },
  {
    name: "more",
    label: "Further fields",
    rows: 2,
    placeholder: '{"seed": 1}',
    hint: "A JSON object that is added to the request.",
  },
];

/** Returns the names of the parameters that are given, so that a folded section says what is sent. */
export function givenNames(given: Parameters): string {
  const names = FIELDS.filter(({ name }) => given[name].trim() !== NO_PARAMETERS[name]).map(({ label }) => label);
  return names.length === 0 ? "none" : names.join(", ");
}

export function ParameterFields({ given, mistakes, onChange }: ParameterProps) {
  return (
    <details className={css.fold}>
      <summary>
        System prompt and parameters: <span className="muted">{givenNames(given)}</span>
        {mistakes.size > 0 && <strong className={css.wrong}> with a mistake</strong>}
      </summary>
      <div className={css.parameters}>
        {FIELDS.map(({ name, label, placeholder = "", hint, digits, rows }) => {
          const field = {
            label,
            value: given[name],
            mistakes: mistakes.get(name),
            onChange: (value: string) => onChange({ [name]: value }),
          };
          return rows === undefined ? (
            <TextField key={name} {...field} inputMode={digits} placeholder="not sent" />
          ) : (
            <div key={name} className={css.wide}>
              <AreaField
                {...field}
                rows={rows}
                placeholder={placeholder}
                hint={hint}
                className={placeholder === "" ? undefined : "mono"}
              />
            </div>
          );
        })}
      </div>
    </details>
  );
}
