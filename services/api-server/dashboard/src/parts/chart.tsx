/** Lines over time, with the same figures as a table. Loaded only by pages that have charts. */

import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { formatter, timeOfDay, UNKNOWN, zoneName } from "../format/time";
import css from "./chart.module.css";

interface Line {
  label: string;
  values: (number | null)[];
}

interface ChartProps {
  /** Name for screen readers. */
  label: string;
  /** Times of the points, in milliseconds. */
  times: number[];
  lines: Line[];
  format: (value: number) => string;
  /** Time from which the points are not complete. */
  partialFrom: number | null;
  asTable: boolean;
  /** Called with the ends of a range that was dragged. */
  onZoom: (from: number, to: number) => void;
}

const HEIGHT = 170;
/** Lines differ by their dashes, too. */
const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3], [], [6, 3], [2, 3], [8, 3, 2, 3]];
/** Charts with this key have their cursors at the same time. */
const CURSOR = "time";

export function Chart(props: ChartProps) {
  return <div className={css.chart}>{props.asTable ? <ChartTable {...props} /> : <Plot {...props} />}</div>;
}

function Plot({ label, times, lines, format, partialFrom, onZoom }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const theme = useTheme();
  // A point is about the time up to the next one.
  const step = times.length > 1 ? (times[1]! - times[0]!) / 1000 : 60;
  const latest = useRef({ format, partialFrom, onZoom, step });
  latest.current = { format, partialFrom, onZoom, step };
  const data = useRef<uPlot.AlignedData>([[]]);
  data.current = [times.map((time) => time / 1000), ...lines.map(({ values }) => values)];
  const names = lines.map((line) => line.label).join("\n");
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
          x: { range: (_, min, max) => [min, max + latest.current.step] },
          y: { range: (_, __, max) => [0, max > 0 ? max * 1.05 : 1] },
        },
        axes: [
          { ...axis, size: 28, values: (_, splits, ___, ____, step) => splits.map((second) => tick(second, step)) },
          { ...axis, size: 64, values: (_, splits) => splits.map((value) => latest.current.format(value)) },
        ],
        series: [
          {},
          ...names.split("\n").map((name, at) => ({
            label: name,
            stroke: colour(`--series-${(at % 8) + 1}`),
            width: 1.75,
            dash: DASHES[at % DASHES.length] as number[],
            spanGaps: false,
            // A value between two gaps has no line: it would not be seen.
            points: { size: 6, fill: colour(`--series-${(at % 8) + 1}`), show: true, filter: lonely },
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
  }, [names, theme]);
  useEffect(() => {
    // uPlot keeps the arrays, so that a new one is a change.
    if (times.length > 0 && lines.length > 0) plot.current?.setData(data.current);
  }, [times, lines]);
  const last = times.length - 1;
  const shown = at !== null && at <= last ? at : last;
  return (
    <>
      <div ref={box} className={css.plot} role="img" aria-label={`${label}, as lines over time`} />
      <ul className={css.keys} aria-hidden="true">
        <li>{at === null ? "newest" : timeOfDay(times[shown])}</li>
        {lines.map((line, at) => (
          <li key={line.label}>
            <svg width="22" height="8" viewBox="0 0 22 8" aria-hidden="true">
              <path
                d="M0 4h22"
                stroke={`var(--series-${(at % 8) + 1})`}
                strokeWidth="2.5"
                strokeDasharray={DASHES[at % DASHES.length]?.join(" ")}
              />
            </svg>
            {line.label} {shownValue(line.values[shown], format)}
          </li>
        ))}
      </ul>
    </>
  );
}

function ChartTable({ label, times, lines, format, partialFrom }: ChartProps) {
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
                  {timeOfDay(time)}
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

function shownValue(value: number | null | undefined, format: (value: number) => string): string {
  return value == null ? UNKNOWN : format(value);
}

/** Returns the points of a line that have no neighbour. */
function lonely(plot: uPlot, series: number): number[] | null {
  const values = plot.data[series];
  if (!values) return null;
  const alone: number[] = [];
  for (let at = 0; at < values.length; at += 1)
    if (values[at] != null && values[at - 1] == null && values[at + 1] == null) alone.push(at);
  return alone;
}

/** Hatches what is not complete yet. */
function hatch(plot: uPlot, from: number | null, colour: string): void {
  if (from === null) return;
  const { ctx, bbox } = plot;
  const left = Math.max(bbox.left, plot.valToPos(from / 1000, "x", true));
  const right = bbox.left + bbox.width;
  if (left >= right) return;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, bbox.top, right - left, bbox.height);
  ctx.clip();
  ctx.strokeStyle = colour;
  ctx.lineWidth = 2;
  ctx.beginPath();
  for (let x = left - bbox.height; x < right; x += 12) {
    ctx.moveTo(x, bbox.top + bbox.height);
    ctx.lineTo(x + bbox.height, bbox.top);
  }
  ctx.stroke();
  ctx.restore();
}

const DAY = 86_400;
const clock = formatter({ hour: "2-digit", minute: "2-digit", hour12: false });
const date = formatter({ day: "numeric", month: "short" });

/** Returns the label of a time on the axis, for ticks that are `step` seconds apart. */
function tick(second: number, step: number): string {
  const at = second * 1000;
  const time = clock(at);
  return step >= DAY || time === "00:00" ? date(at) : time;
}

/** Returns the colour that a custom property stands for in the theme of an element. */
function resolved(element: HTMLElement, name: string): string {
  const before = element.style.color;
  element.style.color = `var(${name})`;
  const colour = getComputedStyle(element).color;
  element.style.color = before;
  return colour;
}

/** Returns a number that changes with the theme. */
function useTheme(): number {
  const [changes, setChanges] = useState(0);
  useEffect(() => {
    const changed = () => setChanges((count) => count + 1);
    const observer = new MutationObserver(changed);
    observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", changed);
    return () => {
      observer.disconnect();
      dark.removeEventListener("change", changed);
    };
  }, []);
  return changes;
}
