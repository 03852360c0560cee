/** Lines over time, with the same figures as a table. Loaded only by pages that have charts. */

import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { timeOfDay, zoneName } from "../format/time";
import css from "./chart.module.css";
import { hatch, lonely, moveTo, resolved, tick, useTheme } from "./chart-drawing";
import { ChartTable, type Figures, type Line, shownValue } from "./chart-table";

interface ChartProps extends Figures {
  asTable: boolean;
  /** Called with the ends of a range that was dragged. */
  onZoom: (from: number, to: number) => void;
}

const HEIGHT = 170;
/** Lines differ by their dashes, too. */
const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3], [], [6, 3], [2, 3], [8, 3, 2, 3]];
/** Dashes of the thin lines of an earlier time. */
const BEFORE = [4, 2];
/** Charts with this key have their cursors at the same time. */
const CURSOR = "time";
/** Pixels from a line within which a click means it. */
const NEAR = 24;

export function Chart({ asTable, onZoom, ...figures }: ChartProps) {
  return (
    <div className={css.chart}>{asTable ? <ChartTable {...figures} /> : <Plot {...figures} onZoom={onZoom} />}</div>
  );
}

/** How a line is drawn: those of an earlier time as the line that they belong to, but thin. */
interface Stroke {
  label: string;
  /** Number of its colour and of its dashes, from zero on. */
  style: number;
  isBefore: boolean;
}

function strokesOf(lines: Line[]): Stroke[] {
  let style = -1;
  return lines.map(({ label, isBefore = false }) => {
    if (!isBefore) style += 1;
    return { label, style, isBefore };
  });
}

function Plot({ label, times, lines, format, partialFrom, onZoom, onPick }: Omit<ChartProps, "asTable">) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const theme = useTheme();
  // A point is about the time up to the next one.
  const step = times.length > 1 ? (times[1]! - times[0]!) / 1000 : 60;
  const latest = useRef({ format, partialFrom, onZoom, onPick, step });
  latest.current = { format, partialFrom, onZoom, onPick, step };
  const data = useRef<uPlot.AlignedData>([[]]);
  data.current = [times.map((time) => time / 1000), ...lines.map(({ values }) => values)];
  const strokes = strokesOf(lines);
  const drawn = JSON.stringify(strokes);
  // biome-ignore lint/correctness/useExhaustiveDependencies: colours are read again when the theme changes
  useEffect(() => {
    const parent = box.current;
    if (!parent) return;
    const colour = (name: string) => resolved(parent, name);
    const axis = {
      stroke: colour("--muted"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1 },
      font: "12px system-ui, sans-serif",
    };
    const made = new uPlot(
      {
        width: Math.max(200, parent.clientWidth),
        height: HEIGHT,
        legend: { show: false },
        cursor: { sync: { key: CURSOR }, drag: { x: true, y: false, setScale: false } },
        padding: [8, 22, 0, 0],
        tzDate: (second) => uPlot.tzDate(new Date(second * 1000), zoneName()),
        scales: {
          // Of a single point, uPlot would show years.
          x: {
            range: (_, min, max) => [data.current[0][0] ?? min, (data.current[0].at(-1) ?? max) + latest.current.step],
          },
          y: { range: (_, __, max) => [0, max > 0 ? max * 1.05 : 1] },
        },
        axes: [
          { ...axis, size: 28, values: (_, splits, ___, ____, step) => splits.map((second) => tick(second, step)) },
          { ...axis, size: 64, values: (_, splits) => splits.map((value) => latest.current.format(value)) },
        ],
        series: [
          {},
          ...(JSON.parse(drawn) as Stroke[]).map(({ label, style, isBefore }) => ({
            label,
            stroke: colour(`--series-${(style % 8) + 1}`),
            width: isBefore ? 1 : 1.75,
            dash: isBefore ? BEFORE : (DASHES[style % DASHES.length] as number[]),
            spanGaps: false,
            // A value between two gaps has no line: it would not be seen.
            points: { size: 6, fill: colour(`--series-${(style % 8) + 1}`), show: true, filter: lonely },
          })),
        ],
        hooks: {
          drawClear: [(drawn) => hatch(drawn, latest.current.partialFrom, colour("--line"))],
          setCursor: [({ cursor }) => setAt(cursor.idx ?? null)],
          setSelect: [
            (zoomed) => {
              const { left, width } = zoomed.select;
              if (width < 4) return;
              const ends = [zoomed.posToVal(left, "x"), zoomed.posToVal(left + width, "x")] as const;
              zoomed.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              latest.current.onZoom(Math.round(ends[0] * 1000), Math.round(ends[1] * 1000));
            },
          ],
        },
      },
      data.current,
      parent,
    );
    plot.current = made;
    // The end of a drag is none.
    made.over.addEventListener("click", () => {
      const { idx } = made.cursor;
      if (idx != null) latest.current.onPick(idx, lineNear(made, idx));
    });
    const observer = new ResizeObserver(() => {
      const width = Math.max(200, parent.clientWidth);
      if (width !== made.width) made.setSize({ width, height: HEIGHT });
    });
    observer.observe(parent);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [drawn, theme]);
  useEffect(() => {
    // uPlot keeps the arrays, so that a new one is a change.
    if (times.length > 0 && lines.length > 0) plot.current?.setData(data.current);
  }, [times, lines]);
  const last = times.length - 1;
  const shown = at !== null && at <= last ? at : last;
  const figures = lines.map((line) => `${line.label} ${shownValue(line.values[shown], format)}`);
  const pressed = (event: KeyboardEvent) => {
    const made = plot.current;
    if (!made || event.ctrlKey || event.metaKey || event.altKey) return;
    const moved = moveTo(event.key, shown, last);
    if (event.key === "Enter") onPick(shown, null);
    else if (moved !== null) made.setCursor({ left: made.valToPos(data.current[0][moved]!, "x"), top: 0 });
    else return;
    event.preventDefault();
  };
  return (
    <>
      <div
        ref={box}
        className={css.plot}
        role="slider"
        tabIndex={0}
        aria-label={`${label}, as lines over time`}
        aria-valuemin={0}
        aria-valuemax={Math.max(0, last)}
        aria-valuenow={Math.max(0, shown)}
        aria-valuetext={`${timeOfDay(times[shown])}: ${figures.join(", ")}`}
        aria-keyshortcuts="Enter"
        onKeyDown={pressed}
      />
      <ul className={css.keys} aria-hidden="true">
        <li>{at === null ? "newest" : timeOfDay(times[shown])}</li>
        {strokes.map(({ label, style, isBefore }, at) => (
          <li key={label}>
            <svg width="22" height="8" viewBox="0 0 22 8" aria-hidden="true">
              <path
                d="M0 4h22"
                stroke={`var(--series-${(style % 8) + 1})`}
                strokeWidth={isBefore ? 1.25 : 2.5}
                strokeDasharray={(isBefore ? BEFORE : DASHES[style % DASHES.length])?.join(" ")}
              />
            </svg>
            {figures[at]}
          </li>
        ))}
      </ul>
    </>
  );
}

/** Returns the line that the cursor is near to, at a point. */
function lineNear({ data, cursor, valToPos }: uPlot, at: number): number | null {
  const distances = data.slice(1).map((values) => {
    const value = values[at];
    return value == null ? Number.POSITIVE_INFINITY : Math.abs(valToPos(value, "y") - (cursor.top ?? 0));
  });
  const least = Math.min(...distances);
  return least <= NEAR ? distances.indexOf(least) : null;
}
