/** The replay that is under way, and the ones that this tab has sent before. */

import { useCallback, useEffect, useRef, useState } from "react";
import type { ReplayCommand } from "../../../api/request";
import { type Run, runReplay } from "./run";

/** Milliseconds between two drawings of an answer that arrives. */
const FRAME = 50;
/** Replays of a request that a tab remembers. */
const MAX_KEPT = 40;
const PREFIX = "signalbox.replays.";

export function useReplay(id: string, onLogged: (logId: string) => void) {
  const [run, setRun] = useState<Run | null>(null);
  const [sent, setSent] = useState<string[]>(() => readSent(id));
  const end = useRef<AbortController | null>(null);
  const stop = useCallback(() => end.current?.abort(), []);
  useEffect(() => stop, [stop]);
  const start = useCallback(
    async (command: ReplayCommand) => {
      end.current?.abort();
      const own = new AbortController();
      end.current = own;
      const isShown = () => end.current === own;
      let drawn = 0;
      const last = await runReplay(id, command, own.signal, (next) => {
        const now = performance.now();
        if (!isShown() || (next.state === "answering" && now - drawn < FRAME)) return;
        drawn = now;
        setRun(next);
      });
      const ids = last.logId === null ? [] : [last.logId];
      const logged = last.outcomes?.flatMap(({ request_id }) => (request_id === null ? [] : [request_id])) ?? ids;
      const all = writeSent(id, logged);
      if (!isShown()) return;
      setRun(last);
      setSent(all);
      if (logged[0] !== undefined) onLogged(logged[0]);
    },
    [id, onLogged],
  );
  return { run, sent, start, stop };
}

function readSent(id: string): string[] {
  try {
    const stored: unknown = JSON.parse(sessionStorage.getItem(PREFIX + id) ?? "[]");
    return Array.isArray(stored) ? stored.filter((one): one is string => typeof one === "string") : [];
  } catch {
    return [];
  }
}

/** Adds replays to those that are remembered, the newest first. */
function writeSent(id: string, logged: string[]): string[] {
  const all = [...new Set([...logged.toReversed(), ...readSent(id)])].slice(0, MAX_KEPT);
  try {
    sessionStorage.setItem(PREFIX + id, JSON.stringify(all));
  } catch {
    // They are in the log all the same.
  }
  return all;
}
