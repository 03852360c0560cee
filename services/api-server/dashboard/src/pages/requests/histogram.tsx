/** Requests over time as bars. Dragging over them chooses a range; the arrow keys and Shift do, too. */

import { type KeyboardEvent, type PointerEvent, useRef, useState } from "react";
import { plural } from "../../format/numbers";
import { timeOfDay } from "../../format/time";
import type { Bar } from "./figures";
import css from "./list.module.css";

interface HistogramProps {
  bars: Bar[];
  onRange: (from: number, to: number) => void;
  /** Called with the end of a bar that is pressed; without it, its range is chosen. */
  onTime: ((at: number) => void) | undefined;
}

/** Returns the two ends of a selection in order. */
export function ordered(anchor: number, at: number): [number, number] {
  return anchor <= at ? [anchor, at] : [at, anchor];
}

export function Histogram({ bars, onRange, onTime }: HistogramProps) {
  const box = useRef<HTMLDivElement>(null);
  const [stop, setStop] = useState(bars.length - 1);
  const [chosen, setChosen] = useState<[anchor: number, at: number] | null>(null);
  const dragged = useRef(false);
  const most = Math.max(1, ...bars.map(({ requests }) => requests));
  const current = Math.min(Math.max(0, stop), bars.length - 1);
  const [first, last] = chosen ? ordered(...chosen) : [-1, -1];
  const take = (from: number, to: number) => {
    setChosen(null);
    if (from === to && onTime) onTime(bars[from]!.to);
    else onRange(bars[from]!.from, bars[to]!.to);
  };
  const barAt = (event: PointerEvent): number => {
    const { left, width } = box.current!.getBoundingClientRect();
    return Math.min(bars.length - 1, Math.max(0, Math.floor(((event.clientX - left) / width) * bars.length)));
  };
  const pressed = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -bars.length, End: bars.length }[event.key];
    if (by !== undefined) {
      event.preventDefault();
      const next = Math.min(bars.length - 1, Math.max(0, current + by));
      setStop(next);
      setChosen(event.shiftKey ? [chosen?.[0] ?? current, next] : null);
      (box.current?.children[next] as HTMLElement | undefined)?.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      event.stopPropagation();
      take(...(chosen ? ordered(...chosen) : ([current, current] as const)));
    } else if (event.key === "Escape" && chosen) {
      event.stopPropagation();
      setChosen(null);
    }
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: it is no set of fields
    <div
      ref={box}
      role="group"
      aria-label="Requests over time. Drag, or hold Shift with the arrow keys, to choose a range."
      className={css.histogram}
      onKeyDown={pressed}
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        const at = barAt(event);
        dragged.current = true;
        event.currentTarget.setPointerCapture(event.pointerId);
        setChosen([at, at]);
      }}
      onPointerMove={(event) => {
        if (dragged.current && chosen) setChosen([chosen[0], barAt(event)]);
      }}
      onPointerUp={() => {
        if (dragged.current && chosen) take(...ordered(...chosen));
        dragged.current = false;
      }}
      onPointerCancel={() => {
        dragged.current = false;
        setChosen(null);
      }}
    >
      {bars.map(({ from, to, requests, errors }, at) => (
        <button
          key={from}
          type="button"
          tabIndex={at === current ? 0 : -1}
          data-chosen={at >= first && at <= last}
          aria-label={`${timeOfDay(from)} to ${timeOfDay(to)}: ${plural(requests, "request")}, ${errors} failed`}
          title={`${timeOfDay(from)}: ${plural(requests, "request")}, ${errors} failed`}
          onFocus={() => setStop(at)}
          onClick={(event) => {
            // Without a pointer, as screen readers press it.
            if (event.detail === 0) take(at, at);
          }}
        >
          <span style={{ height: `${(100 * requests) / most}%` }} />
          {errors > 0 && <span style={{ height: `${(100 * errors) / most}%` }} />}
        </button>
      ))}
    </div>
  );
}
