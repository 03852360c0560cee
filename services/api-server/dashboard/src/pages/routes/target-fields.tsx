import { useQuery } from "@tanstack/react-query";
import { modelsQuery, providersQuery } from "../../api/queries";
import { percent } from "../../format/numbers";
import { IconButton } from "../../parts/button";
import { AreaField, SelectField, TextField } from "../../parts/field";
import { ArrowDown, ArrowUp, Trash2 } from "../../parts/icons";
import { Notice } from "../../parts/layout";
import type { TargetDraft } from "./form";
import css from "./routes.module.css";

interface TargetProps {
  target: TargetDraft;
  at: number;
  /** Number of targets. */
  of: number;
  /** Share of the requests in per cent, if the policy weighs. */
  share: number | null;
  problem: string | undefined;
  mistakes: Map<string, string[]>;
  onChange: (target: TargetDraft) => void;
  onMove: (by: number) => void;
  onRemove: () => void;
}

export const MODEL_NAMES = "model-names";

/** Names of the known models, to choose from while typing. */
export function ModelNames() {
  const { data } = useQuery(modelsQuery);
  return (
    <datalist id={MODEL_NAMES}>
      {data?.map(({ id }) => (
        <option key={id} value={id} />
      ))}
    </datalist>
  );
}

export function TargetFields({ target, at, of, share, problem, mistakes, onChange, onMove, onRemove }: TargetProps) {
  const providers = useQuery(providersQuery).data ?? [];
  const options: [string, string][] = [["", "Choose a provider"]];
  for (const { id, name, enabled } of providers) {
    options.push([id, `${name === id ? id : `${name} (${id})`}${enabled ? "" : ", disabled"}`]);
  }
  if (target.provider !== "" && !options.some(([id]) => id === target.provider)) {
    options.push([target.provider, `${target.provider}, deleted`]);
  }
  const under = (name: string) => mistakes.get(`targets[${at}].${name}`);
  const hidden = under("params") || under("context_tokens");
  return (
    <fieldset className={css.target} aria-label={`Target ${at + 1}`}>
      <div className={css.targetHead}>
        <strong>Target {at + 1}</strong>
        <span className="muted">{share !== null && of > 1 && `${percent(share)} of the requests first`}</span>
        <IconButton
          icon={ArrowUp}
          label={`Move target ${at + 1} up`}
          small
          disabledBecause={at === 0 ? "It is the first target" : undefined}
          onClick={() => onMove(-1)}
        />
        <IconButton
          icon={ArrowDown}
          label={`Move target ${at + 1} down`}
          small
          disabledBecause={at === of - 1 ? "It is the last target" : undefined}
          onClick={() => onMove(1)}
        />
        <IconButton
          icon={Trash2}
          label={`Remove target ${at + 1}`}
          small
          disabledBecause={of === 1 ? "A route needs a target" : undefined}
          onClick={onRemove}
        />
      </div>
      {problem && <Notice tone="warn">It cannot be asked: {problem}.</Notice>}
      <div className={css.halves}>
        <SelectField
          label="Provider"
          required
          value={target.provider}
          options={options}
          mistakes={under("provider")}
          onChange={(provider) => onChange({ ...target, provider })}
        />
        <TextField
          label="Model"
          required
          mono
          list={MODEL_NAMES}
          value={target.model}
          mistakes={under("model")}
          onChange={(model) => onChange({ ...target, model })}
          hint="Its name at the provider."
        />
      </div>
      <div className={css.columns}>
        <TextField
          label="Weight"
          inputMode="numeric"
          placeholder="1"
          value={target.weight}
          mistakes={under("weight")}
          onChange={(weight) => onChange({ ...target, weight })}
          hint="Share relative to the others, 1 to 1,000."
        />
        <TextField
          label="Context"
          inputMode="numeric"
          placeholder="unknown"
          value={target.contextTokens}
          mistakes={under("context_tokens")}
          onChange={(contextTokens) => onChange({ ...target, contextTokens })}
          hint="Tokens that the model holds."
        />
      </div>
      <details open={Boolean(hidden) || target.params !== "" || undefined}>
        <summary>Parameters</summary>
        <AreaField
          label="Fields that replace those of the request"
          className="mono"
          rows={3}
          value={target.params}
          placeholder='{"temperature": 0.2}'
          mistakes={under("params")}
          onChange={(params) => onChange({ ...target, params })}
          hint="A JSON object. `model`, `stream`, `messages` and `input` cannot be replaced."
        />
      </details>
    </fieldset>
  );
}
