/** Choice of a range of time. */

import { type FixedRange, fromTo, RANGES, type RangeName, type RangeSearch } from "../format/ranges";
import { fromLocalInput, toLocalInput } from "../format/time";
import { classes } from "./button";
import { Field } from "./field";
import css from "./parts.module.css";
import own from "./range.module.css";

interface RangeProps {
  /** Ranges that are offered. */
  names: readonly RangeName[];
  search: RangeSearch;
  ends: FixedRange;
  fallback: RangeName;
  onChange: (range: RangeSearch) => void;
}

export function RangeChoice({ names, search, ends, fallback, onChange }: RangeProps) {
  const custom = search.range === undefined && search.from !== undefined;
  const current = custom ? null : (search.range ?? fallback);
  return (
    <div className={own.range}>
      <fieldset className={own.choice}>
        <legend className="visually-hidden">Range</legend>
        {names.map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={name === current}
            className={classes(css.button, css.small)}
            onClick={() => onChange({ range: name, from: undefined, to: undefined })}
          >
            {RANGES[name][0]}
          </button>
        ))}
        <button
          type="button"
          aria-pressed={custom}
          className={classes(css.button, css.small)}
          onClick={() => onChange({ range: undefined, from: ends.from, to: ends.to })}
        >
          Other
        </button>
      </fieldset>
      {custom && (
        <div className={own.ends}>
          {(["from", "to"] as const).map((end) => (
            <Field
              key={end}
              label={end === "from" ? "From" : "To"}
              mistakes={
                end === "to" && !fromTo(search)
                  ? ["It must be after the beginning; until then, the usual range is shown"]
                  : undefined
              }
            >
              {(id, props) => (
                <input
                  id={id}
                  {...props}
                  type="datetime-local"
                  className={css.input}
                  value={toLocalInput(search[end] ?? ends[end])}
                  onChange={(event) => {
                    const at = fromLocalInput(event.target.value);
                    if (at !== undefined) onChange({ from: ends.from, to: ends.to, ...search, [end]: at });
                  }}
                />
              )}
            </Field>
          ))}
        </div>
      )}
    </div>
  );
}
