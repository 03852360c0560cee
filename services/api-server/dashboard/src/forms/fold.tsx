/** Parts of a form that are folded until they are wanted. */

import type { ReactNode } from "react";
import { Button } from "../parts/button";
import { Prose } from "../parts/field";
import { Tag } from "../parts/mark";
import { countIn, withoutSection } from "./entry";
import css from "./forms.module.css";
import { Mistakes, useForm } from "./inputs";
import { nodeAt } from "./schema";

interface FoldProps {
  title: string;
  /** Sections that it shows: the title says how many of their fields are set. */
  of: string[];
  children: ReactNode;
}

/** A folded card. */
export function Fold({ title, of, children }: FoldProps) {
  const { schema, entry } = useForm();
  const set = of.reduce((sum, section) => sum + countIn(schema, entry, section), 0);
  return (
    <details className={css.fold}>
      <summary>
        <h2>{title}</h2>
        {set > 0 ? <Tag tone="ok">{set} set</Tag> : <span className="muted">none set</span>}
      </summary>
      <div className={css.body}>{children}</div>
    </details>
  );
}

interface SectionProps {
  /** Path of the section. */
  at: string;
  /** Shown above the fields, if the fold has several sections. */
  title?: string;
  children: ReactNode;
}

/** The fields of a section, with a button that removes it from the document. */
export function Section({ at, title, children }: SectionProps) {
  const { schema, entry, mistakes, prefix = "", onChange } = useForm();
  const { description } = nodeAt(schema, at);
  const own = mistakes.get(prefix + at);
  const fields = (
    <>
      {description && (
        <p className="muted">
          <Prose text={description} />
        </p>
      )}
      {own && (
        <div tabIndex={-1} data-mistake>
          <Mistakes of={own} />
        </div>
      )}
      <div className={css.fields}>{children}</div>
      {countIn(schema, entry, at) > 0 && (
        <div>
          <Button small onClick={() => onChange((old) => withoutSection(old, at))}>
            Remove {title ? title.toLowerCase() : "all of it"}
          </Button>
        </div>
      )}
    </>
  );
  if (!title) return <div className={css.stack}>{fields}</div>;
  return (
    <fieldset className={css.section}>
      <legend>{title}</legend>
      {fields}
    </fieldset>
  );
}
