/** What the process of a service uses, and how that has changed in the last minute. */

import type { ReactNode } from "react";
import type { ProcessStats } from "../../api/topics";
import { bytes, count, percent } from "../../format/numbers";
import css from "./overview.module.css";

/** Returns facts of what is known; a server of another version, or another system than Linux, tells nothing. */
export function resourceFacts(history: (ProcessStats | undefined)[]): [string, ReactNode][] {
  const now = history.at(-1);
  if (!now) return [];
  const facts: [string, ReactNode][] = [];
  if (now.cpu_percent !== null) {
    const values = history.map((one) => one?.cpu_percent ?? null);
    facts.push(["CPU", <Measure key="cpu" text={percent(now.cpu_percent)} values={values} />]);
  }
  if (now.rss_bytes !== null) {
    const values = history.map((one) => one?.rss_bytes ?? null);
    facts.push(["Memory", <Measure key="memory" text={bytes(now.rss_bytes)} values={values} />]);
  }
  if (now.open_files !== null && now.threads !== null)
    facts.push(["Open", `${count(now.open_files)} files, ${count(now.threads)} threads`]);
  return facts;
}

const WIDTH = 72;
const HEIGHT = 16;

function Measure({ text, values }: { text: string; values: (number | null)[] }) {
  return (
    <span className={css.measure}>
      {text}
      <svg width={WIDTH} height={HEIGHT} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
        <path d={sparkline(values)} fill="none" stroke="currentColor" strokeWidth="1.5" />
      </svg>
    </span>
  );
}

/** Returns the path of a line through the values, from zero up. */
export function sparkline(values: (number | null)[]): string {
  const most = Math.max(...values.map((value) => value ?? 0), 1e-9);
  const step = WIDTH / Math.max(1, values.length - 1);
  let pen = "M";
  let path = "";
  values.forEach((value, at) => {
    if (value === null) {
      pen = "M";
      return;
    }
    path += `${pen}${(at * step).toFixed(1)} ${(HEIGHT - 1 - (value / most) * (HEIGHT - 2)).toFixed(1)}`;
    pen = "L";
  });
  return path;
}
