/** The fields of one row of prices. */

import { useEffect, useRef } from "react";
import { type Entry, textAt } from "../../forms/entry";
import { FormOf, Input, Mistakes, useForm } from "../../forms/inputs";
import { Button, Row } from "../../parts/button";
import { Plus, Trash2 } from "../../parts/icons";
import { Tag } from "../../parts/mark";
import { hiddenFields, idOf, type RowDraft, type ThresholdDraft, thresholdDraft } from "./form";
import css from "./prices.module.css";
import { perMillion } from "./rows";
import { MAIN_CLASSES, OTHER_CLASSES, ROW, THRESHOLD, TIERS, UNITS } from "./schema";

interface RowProps {
  row: RowDraft;
  at: number;
  /** Another object each time when its fields are to be shown. */
  opening: object | null;
  mistakes: Map<string, string[]>;
  onChange: (change: (old: RowDraft) => RowDraft) => void;
  onRemove: () => void;
}

export function RowFields({ row, at, opening, mistakes, onChange, onRemove }: RowProps) {
  const box = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    if (opening === null || box.current === null) return;
    box.current.open = true;
    box.current.querySelector("input")?.focus();
  }, [opening]);
  const path = `prices.${at}`;
  const isWrong = [...mistakes.keys()].some((field) => field === path || field.startsWith(`${path}.`));
  const isFree = textAt(ROW, row, "free") === "true";
  const hidden = hiddenFields(row);
  return (
    <details ref={box} className={css.row}>
      <summary>
        <strong>{idOf(row) || "New price"}</strong> <span className="muted">{wordsOf(row)}</span>{" "}
        {isWrong && <Tag tone="bad">has a mistake</Tag>}
      </summary>
      <FormOf
        schema={ROW}
        entry={row}
        mistakes={mistakes}
        prefix={`${path}.`}
        onChange={(change) => onChange((old) => ({ ...old, ...change(old) }))}
      >
        <div className={css.fields}>
          <OwnMistakes at={path} of={mistakes} />
          <Input at="id" label="Model" mono hint="`openai/gpt-4.1` is this model at providers of the type openai." />
          <AppliesTo />
          <Input at="free" label="It costs nothing" hint="" />
          {!isFree && (
            <>
              <OwnMistakes at={`${path}.base`} of={mistakes} />
              <Rates title="Dollars per million tokens" prefix="base." />
              <Thresholds
                over={row.over}
                path={`${path}.over`}
                mistakes={mistakes}
                set={(change) => onChange((old) => ({ ...old, over: change(old.over) }))}
              />
              <Others />
            </>
          )}
          <Input at="note" label="Note" unset="none" hint="" />
          {hidden.length > 0 && (
            <p className="muted">
              It also has {hidden.join(", ")}: they stay as they are, and can be changed in the JSON document.
            </p>
          )}
          <Row>
            <Button kind="danger" sends={false} small icon={Trash2} onClick={onRemove}>
              Remove this price
            </Button>
          </Row>
        </div>
      </FormOf>
    </details>
  );
}

/** Shows the mistakes of something that is no single field. */
function OwnMistakes({ at, of }: { at: string; of: Map<string, string[]> }) {
  const own = of.get(at);
  return own === undefined ? null : (
    <div tabIndex={-1} data-mistake>
      <Mistakes of={own} />
    </div>
  );
}

/** Returns the prices of a row in short. */
function wordsOf(row: RowDraft): string {
  if (textAt(ROW, row, "free") === "true") return "free";
  const price = (path: string) =>
    perMillion(
      textAt(ROW, row, path)
        .trim()
        .replace(/^\$\s*/, "") || null,
    );
  return `${price("base.in")} in, ${price("base.out")} out`;
}

function AppliesTo() {
  return (
    <details>
      <summary>Other providers and names, and from when</summary>
      <div className={css.more}>
        <div className={css.halves}>
          <Input
            at="provider"
            label="Types of providers"
            unset="the word before the slash"
            hint="One a line; `*` is all."
          />
          <Input at="provider_id" label="Ids of providers" unset="all of the types" hint="Instead of types." />
          <Input
            at="match"
            label="Names of the model"
            unset="what is behind the slash"
            hint="With `*` and `?` for any characters."
          />
        </div>
        <div className={css.halves}>
          <Input at="from" label="Valid from" unset="always" hint="The first day in UTC, such as `2026-12-01`." />
          <Input
            at="until"
            label="Valid until"
            unset="always"
            hint="The first day on which it is not valid any more."
          />
        </div>
      </div>
    </details>
  );
}

/** Prices of the classes of tokens. */
function Rates({ title, prefix = "" }: { title: string; prefix?: string }) {
  return (
    <fieldset className={css.part}>
      <legend>{title}</legend>
      <div className={css.columns}>
        {MAIN_CLASSES.map(([key, label]) => (
          <Input key={key} at={prefix + key} label={label} hint="" mono />
        ))}
      </div>
      <details>
        <summary>Reasoning, audio, images, long cache</summary>
        <div className={css.more}>
          <div className={css.columns}>
            {OTHER_CLASSES.map(([key, label]) => (
              <Input key={key} at={prefix + key} label={label} hint="" mono />
            ))}
          </div>
          <p className="muted">Reasoning costs as much as the output, unless it is given.</p>
        </div>
      </details>
    </fieldset>
  );
}

interface ThresholdsProps {
  over: ThresholdDraft[];
  path: string;
  mistakes: Map<string, string[]>;
  set: (change: (old: ThresholdDraft[]) => ThresholdDraft[]) => void;
}

function Thresholds({ over, path, mistakes, set }: ThresholdsProps) {
  const change = (key: number) => (change: (old: Entry) => Entry) =>
    set((old) => old.map((one) => (one.key === key ? { ...one, ...change(one) } : one)));
  return (
    <>
      <OwnMistakes at={path} of={mistakes} />
      {over.map((threshold, at) => (
        <FormOf
          key={threshold.key}
          schema={THRESHOLD}
          entry={threshold}
          mistakes={mistakes}
          prefix={`${path}.${at}.`}
          onChange={change(threshold.key)}
        >
          <fieldset className={css.part}>
            <legend>Longer prompts</legend>
            <OwnMistakes at={`${path}.${at}`} of={mistakes} />
            <div className={css.halves}>
              <Input at="input_gt" label="More tokens than" hint="Of the whole prompt, such as 200000." />
              <Input
                at="x"
                label="Times the prices above"
                unset="1"
                hint="Such as `2` or `3/2`, or the prices below."
              />
            </div>
            <Rates title="Dollars per million tokens, for longer prompts" />
            <Row>
              <Button icon={Trash2} small onClick={() => set((old) => old.filter(({ key }) => key !== threshold.key))}>
                Remove these
              </Button>
            </Row>
          </fieldset>
        </FormOf>
      ))}
      <Row>
        <Button small icon={Plus} onClick={() => set((old) => [...old, thresholdDraft()])}>
          Prices of longer prompts
        </Button>
      </Row>
    </>
  );
}

function Others() {
  const { mistakes, prefix = "" } = useForm();
  const sections = ["tier", ...TIERS.map(([key]) => `tier.${key}`), "units"];
  return (
    <details>
      <summary>Service tiers, and what is paid by the piece</summary>
      <div className={css.more}>
        {sections.map((section) => (
          <OwnMistakes key={section} at={prefix + section} of={mistakes} />
        ))}
        <fieldset className={css.part}>
          <legend>Service tiers, as a part of the prices above</legend>
          <div className={css.columns}>
            {TIERS.map(([key, label]) => (
              <Input key={key} at={`tier.${key}.x`} label={label} unset="unknown" hint="" mono />
            ))}
          </div>
          <p className="muted">
            <code>1/2</code> or <code>0.5</code> is half the price. The cost of a tier without one is unknown.
          </p>
        </fieldset>
        <fieldset className={css.part}>
          <legend>Dollars by the piece</legend>
          <div className={css.columns}>
            {UNITS.map(([key, label]) => (
              <Input key={key} at={`units.${key}`} label={label} hint="" mono />
            ))}
          </div>
        </fieldset>
      </div>
    </details>
  );
}
