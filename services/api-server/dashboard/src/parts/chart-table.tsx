/** The figures of a chart as a table, the newest first. */

import { timeOfDay, UNKNOWN } from "../format/time";
import css from "./chart.module.css";

export interface Line {
  label: string;
  values: (number | null)[];
  /** Whether it is about an earlier time, and belongs to the line before it. */
  isBefore?: boolean;
}

export interface Figures {
  /** Name for screen readers. */
  label: string;
  /** Times of the points, in milliseconds. */
  times: number[];
  lines: Line[];
  format: (value: number) => string;
  /** Time from which the points are not complete. */
  partialFrom: number | null;
  /** Called with a point that was chosen, and with the line if one was near. */
  onPick: (at: number, line: number | null) => void;
}

export function ChartTable({ label, times, lines, format, partialFrom, onPick }: Figures) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so that it needs the keyboard
    <section className={css.table} aria-label={`${label}, as a table`} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th>Time</th>
            {lines.map((line) => (
              <th key={line.label}>{line.label}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {times
            .map((time, at) => (
              <tr key={time}>
                <td>
                  <button type="button" className={css.pick} title="Show its requests" onClick={() => onPick(at, null)}>
                    {timeOfDay(time)}
                  </button>
                  {partialFrom !== null && time >= partialFrom && " (not complete)"}
                </td>
                {lines.map((line) => (
                  <td key={line.label}>{shownValue(line.values[at], format)}</td>
                ))}
              </tr>
            ))
            .reverse()}
        </tbody>
      </table>
    </section>
  );
}

export function shownValue(value: number | null | undefined, format: (value: number) => string): string {
  return value == null ? UNKNOWN : format(value);
}
