/** What is drawn beside the lines of a chart, the colours of the theme, and the keys of its cursor. */

import { useEffect, useState } from "react";
import type uPlot from "uplot";
import { formatter } from "../format/time";

/** Returns the points of a line that have no neighbour. */
export function lonely(plot: uPlot, series: number): number[] | null {
  const values = plot.data[series];
  if (!values) return null;
  const alone: number[] = [];
  for (let at = 0; at < values.length; at += 1)
    if (values[at] != null && values[at - 1] == null && values[at + 1] == null) alone.push(at);
  return alone;
}

/** Hatches what is not complete yet. */
export function hatch(plot: uPlot, from: number | null, colour: string): void {
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
export function tick(second: number, step: number): string {
  const at = second * 1000;
  const time = clock(at);
  return step >= DAY || time === "00:00" ? date(at) : time;
}

/** Returns the colour that a custom property stands for in the theme of an element. */
export function resolved(element: HTMLElement, name: string): string {
  const before = element.style.color;
  element.style.color = `var(${name})`;
  const colour = getComputedStyle(element).color;
  element.style.color = before;
  return colour;
}

/** Returns a number that changes with the theme. */
export function useTheme(): number {
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

/** Points that a page key moves by. */
const PAGE = 10;

/** Returns the point that a key moves to, from one of those up to `last`; `null` if the key does not move. */
export function moveTo(key: string, from: number, last: number): number | null {
  const moves: Record<string, number> = {
    ArrowLeft: from - 1,
    ArrowRight: from + 1,
    PageUp: from - PAGE,
    PageDown: from + PAGE,
    Home: 0,
    End: last,
  };
  const to = moves[key];
  return to === undefined || last < 0 ? null : Math.max(0, Math.min(last, to));
}
