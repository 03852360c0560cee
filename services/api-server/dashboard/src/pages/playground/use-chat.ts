/** The conversation of the page, and the requests that are under way. */

import { useCallback, useEffect, useRef, useState } from "react";
import { type Answer, isOver } from "./answer";
import { askModel } from "./ask";
import { bodyFor, type Side, type Turn } from "./chat";

/** Milliseconds between two drawings of an answer that arrives. */
const FRAME = 50;

export interface Asked {
  text: string;
  images: string[];
  models: Partial<Record<Side, string>>;
  system: string;
  fields: Record<string, unknown>;
}

export function useChat() {
  const [turns, setTurns] = useState<Turn[]>([]);
  const known = useRef<Turn[]>([]);
  const stops = useRef(new Map<Side, AbortController>());
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  const show = useCallback(() => {
    if (timer.current !== null) clearTimeout(timer.current);
    timer.current = null;
    setTurns(known.current);
  }, []);
  const report = useCallback(
    (id: number, side: Side, answer: Answer) => {
      known.current = known.current.map((turn) =>
        turn.id === id ? { ...turn, answers: { ...turn.answers, [side]: answer } } : turn,
      );
      if (isOver(answer) || answer.state === "waiting") show();
      else timer.current ??= setTimeout(show, FRAME);
    },
    [show],
  );
  const ask = useCallback(
    ({ text, images, models, system, fields }: Asked) => {
      const id = (known.current.at(-1)?.id ?? 0) + 1;
      known.current = [...known.current, { id, text, images, answers: {} }];
      const asked = known.current;
      for (const [side, model] of Object.entries(models) as [Side, string][]) {
        const stop = new AbortController();
        stops.current.set(side, stop);
        const body = bodyFor(model, asked, side, system, fields);
        void askModel(body, stop.signal, (answer) => report(id, side, answer)).then(() => {
          if (stops.current.get(side) === stop) stops.current.delete(side);
        });
      }
    },
    [report],
  );
  const stop = useCallback((side: Side) => stops.current.get(side)?.abort(), []);
  const stopAll = useCallback(() => {
    for (const one of stops.current.values()) one.abort();
  }, []);
  const clear = useCallback(() => {
    stopAll();
    known.current = [];
    show();
  }, [show, stopAll]);
  // Answers are not awaited after the page has been left.
  useEffect(
    () => () => {
      stopAll();
      if (timer.current !== null) clearTimeout(timer.current);
    },
    [stopAll],
  );
  const last = turns.at(-1);
  const busy = last !== undefined && Object.values(last.answers).some((answer) => !isOver(answer));
  return { turns, busy, ask, stop, clear };
}
