/** The time that a list is about: one that ends now, any, or one between two ends. */

import { type ListRange, RANGES } from "../format/ranges";
import { fromLocalInput, timeOfDay, toLocalInput } from "../format/time";
import { Select } from "./field";

const DAY = 86_400_000;

const OPTIONS: [string, string][] = [
  ...(["15m", "1h", "6h", "24h", "7d", "30d", "90d"] as const).map((name): [string, string] => [
    name,
    `Last ${RANGES[name][0]}`,
  ]),
  ["any", "Any time"],
  ["custom", "From…"],
];

/** Each end may be open. */
interface Ends {
  from?: number | undefined;
  to?: number | undefined;
}

interface TimeFilterProps {
  /** The range; `undefined` if ends are chosen. */
  range: ListRange | undefined;
  ends: Ends;
  onChange: (time: Ends & { range: ListRange | undefined }) => void;
}

const NAMES = [
  ["from", "From"],
  ["to", "Until"],
] as const;

export function TimeFilter({ range, ends: { from, to }, onChange }: TimeFilterProps) {
  const ends = { from, to };
  const isReversed = from !== undefined && to !== undefined && to <= from;
  const choose = (value: string) => {
    if (value === "custom") onChange({ range: undefined, from: from ?? Date.now() - DAY, to });
    else onChange({ range: value as ListRange, from: undefined, to: undefined });
  };
  return (
    <>
      <Select aria-label="Time" value={range ?? "custom"} onChange={choose} options={OPTIONS} />
      {range === undefined &&
        NAMES.map(([name, label]) => (
          <input
            key={name}
            type="datetime-local"
            aria-label={label}
            aria-invalid={isReversed}
            title={isReversed ? `It must be after ${timeOfDay(from)}` : undefined}
            value={toLocalInput(ends[name])}
            onChange={(event) => onChange({ range: undefined, ...ends, [name]: fromLocalInput(event.target.value) })}
          />
        ))}
    </>
  );
}
