import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { modelsQuery, providersQuery } from "../../api/queries";
import { percent } from "../../format/numbers";
import { type Entry, textAt } from "../../forms/entry";
import { FormOf, Input } from "../../forms/inputs";
import { IconButton } from "../../parts/button";
import { ArrowDown, ArrowUp, Trash2 } from "../../parts/icons";
import { Notice } from "../../parts/layout";
import { TARGET, type TargetDraft } from "./form";
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
  onChange: (change: (old: Entry) => Entry) => void;
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

/** Returns the providers to choose from; the chosen one stays among them after it was deleted. */
export function useProviderOptions(chosen: string): [string, string][] {
  const providers = useQuery(providersQuery).data ?? [];
  const options = providers.map(({ id, name, enabled }): [string, string] => [
    id,
    `${name === id ? id : `${name} (${id})`}${enabled ? "" : ", disabled"}`,
  ]);
  return chosen === "" || options.some(([id]) => id === chosen)
    ? options
    : [...options, [chosen, `${chosen}, deleted`]];
}

/** Fields of a target that are folded until one of them is set. */
const MORE = ["params", "can", "region", "max_price_usd", "api"];

export function TargetFields({ target, at, of, share, problem, mistakes, onChange, onMove, onRemove }: TargetProps) {
  // It stays as it is while a field is being emptied.
  const [isOpen] = useState(() => MORE.some((path) => textAt(TARGET, target, path) !== "") || undefined);
  const prefix = `targets[${at}].`;
  const providers = useProviderOptions(textAt(TARGET, target, "provider"));
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
      <FormOf schema={TARGET} entry={target} mistakes={mistakes} prefix={prefix} onChange={onChange}>
        <div className={css.halves}>
          <Input at="provider" label="Provider" unset="Choose a provider" options={providers} hint="" />
          <Input at="model" label="Model" mono list={MODEL_NAMES} />
        </div>
        <div className={css.columns}>
          <Input at="weight" label="Weight" unset="1" hint="Share relative to the others, 1 to 1,000." />
          <Input at="context_tokens" label="Context" unset="unknown" hint="Tokens that the model holds." />
        </div>
        <details open={isOpen}>
          <summary>Parameters and requirements</summary>
          <div className={css.more}>
            <Input
              at="params"
              label="Fields that replace those of the request"
              rows={3}
              unset='{"temperature": 0.2}'
              hint="A JSON object. `model`, `stream`, `messages` and `input` cannot be replaced."
            />
            <Input at="can" label="Abilities" unset="None chosen: requests of every kind may go to it." />
            <Input at="api" label="API" unset="that of the client" />
            <div className={css.halves}>
              <Input at="region" label="Region" unset="none" />
              <Input at="max_price_usd" label="Highest price of a request" unset="no limit" />
            </div>
          </div>
        </details>
      </FormOf>
    </fieldset>
  );
}
