import { AreaField, TextField } from "../../parts/field";
import { type Mistakes, NO_PARAMETERS, type Parameters } from "./parameters";
import css from "./playground.module.css";

interface ParameterProps {
  given: Parameters;
  mistakes: Mistakes;
  onChange: (change: Partial<Parameters>) => void;
}

const NAMES: [keyof Parameters, string][] = [
  ["system", "system prompt"],
  ["temperature", "temperature"],
  ["topP", "top p"],
  ["maxTokens", "maximum tokens"],
  ["tools", "tools"],
  ["schema", "JSON schema"],
  ["more", "further fields"],
];

/** Returns the names of the parameters that are given, so that a folded section says what is sent. */
export function givenNames(given: Parameters): string {
  const names = NAMES.filter(([name]) => given[name].trim() !== NO_PARAMETERS[name]).map(([, words]) => words);
  return names.length === 0 ? "none" : names.join(", ");
}

export function ParameterFields({ given, mistakes, onChange }: ParameterProps) {
  const of = (name: keyof Parameters) => ({
    value: given[name],
    mistakes: mistakes.get(name),
    onChange: (value: string) => onChange({ [name]: value }),
  });
  return (
    <details className={css.fold}>
      <summary>
        System prompt and parameters: <span className="muted">{givenNames(given)}</span>
        {mistakes.size > 0 && <strong className={css.wrong}> with a mistake</strong>}
      </summary>
      <div className={css.parameters}>
        <div className={css.wide}>
          <AreaField label="System prompt" rows={2} {...of("system")} />
        </div>
        <TextField label="Temperature" inputMode="decimal" placeholder="not sent" {...of("temperature")} />
        <TextField label="Top p" inputMode="decimal" placeholder="not sent" {...of("topP")} />
        <TextField label="Maximum tokens" inputMode="numeric" placeholder="not sent" {...of("maxTokens")} />
        <div className={css.wide}>
          <AreaField
            label="Tools"
            className="mono"
            rows={4}
            placeholder='[{"type": "function", "function": {"name": "read_file", "parameters": {"type": "object"}}}]'
            hint="A JSON array. Calls are shown with their arguments; nothing is run."
            {...of("tools")}
          />
        </div>
        <div className={css.wide}>
          <AreaField
            label="JSON schema of the answer"
            className="mono"
            rows={4}
            placeholder='{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}'
            hint='A schema, or `{"name": …, "strict": true, "schema": …}`.'
            {...of("schema")}
          />
        </div>
        <div className={css.wide}>
          <AreaField
            label="Further fields"
            className="mono"
            rows={2}
            placeholder='{"seed": 1}'
            hint="A JSON object that is added to the request."
            {...of("more")}
          />
        </div>
      </div>
    </details>
  );
}
