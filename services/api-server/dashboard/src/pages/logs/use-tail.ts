/** A log as it is written, whose lines are added once per frame, and the lines before them. */

import { useCallback, useEffect, useRef, useState } from "react";
import { connection } from "../../api/socket";
import { readLog } from "./read";
import { append, EMPTY, type Filter, hasRoom, prepend, rejoin, type Tail } from "./tail";

/** Lines that a subscription begins with. They overlap those that were read just before. */
const JOINED = 200;

interface LogEvent {
  service: string | null;
  lines?: string[];
  missed?: number;
  error?: string;
}

export interface Log {
  /** `null` until the first lines have been read. */
  tail: Tail | null;
  error: unknown;
  retry: () => void;
  /** Whether there are lines before the first one that can be read. */
  hasEarlier: boolean;
  /** Whether they are being read, and why they could not be. */
  earlier: { pending: boolean; error: unknown };
  readEarlier: () => void;
}

const IDLE = { pending: false, error: null };

export function useTail(service: string, level: Filter["level"], q: string | undefined): Log {
  const [tail, setTail] = useState<Tail | null>(null);
  const [before, setBefore] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [earlier, setEarlier] = useState<Log["earlier"]>(IDLE);
  const [attempt, setAttempt] = useState(0);
  const retry = useCallback(() => setAttempt((old) => old + 1), []);
  const reading = useRef<AbortController | null>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt begins anew
  useEffect(() => {
    const filter = { level, q };
    const sparse = level !== undefined || q !== undefined;
    const socket = connection();
    let waiting: LogEvent[] = [];
    let frame = 0;
    let isFirst = true;
    let stop = new AbortController();
    setTail(null);
    setBefore(null);
    setError(null);
    setEarlier(IDLE);
    /** Reads the last lines that match, and subscribes to those that follow. */
    const begin = async () => {
      stop.abort();
      stop = new AbortController();
      const { signal } = stop;
      try {
        const page = await readLog(service, filter, null, signal);
        if (signal.aborted) return;
        if (isFirst) setBefore(page.before);
        isFirst = false;
        // They match already, also those without a level.
        setTail((tail) => rejoin(tail ?? EMPTY, page.lines));
        setError(null);
        socket.emit("logs:subscribe", { service, lines: JOINED });
      } catch (error) {
        if (!signal.aborted) setError(error);
      }
    };
    const flush = () => {
      frame = 0;
      const events = waiting;
      waiting = [];
      setTail(
        (tail) =>
          tail && events.reduce((sum, event) => append(sum, event.lines ?? [], event.missed ?? 0, filter), tail),
      );
    };
    const subscribed = (event: LogEvent) => {
      if (event.service === service) setTail((tail) => tail && rejoin(tail, event.lines ?? [], { filter, sparse }));
    };
    const line = (event: LogEvent) => {
      if (event.service !== service) return;
      waiting.push(event);
      // A hidden page has no frames.
      if (document.hidden) flush();
      else if (frame === 0) frame = requestAnimationFrame(flush);
    };
    const refused = (event: LogEvent) => {
      if (event.service === service || event.service === null)
        setError(new Error(event.error ?? "The log cannot be followed."));
    };
    socket.on("connect", begin);
    socket.on("logs:subscribed", subscribed);
    socket.on("logs:line", line);
    socket.on("logs:error", refused);
    void begin();
    return () => {
      cancelAnimationFrame(frame);
      stop.abort();
      reading.current?.abort();
      reading.current = null;
      socket.off("connect", begin);
      socket.off("logs:subscribed", subscribed);
      socket.off("logs:line", line);
      socket.off("logs:error", refused);
      socket.emit("logs:unsubscribe", { service });
    };
  }, [service, level, q, attempt]);
  const hasEarlier = before !== null && tail !== null && hasRoom(tail);
  const readEarlier = useCallback(() => {
    if (!hasEarlier || reading.current !== null) return;
    const stop = new AbortController();
    reading.current = stop;
    setEarlier({ pending: true, error: null });
    readLog(service, { level, q }, before, stop.signal).then(
      (page) => {
        if (stop.signal.aborted) return;
        reading.current = null;
        setTail((tail) => tail && prepend(tail, page.lines));
        setBefore(page.before);
        setEarlier(IDLE);
      },
      (error) => {
        if (stop.signal.aborted) return;
        reading.current = null;
        setEarlier({ pending: false, error });
      },
    );
  }, [service, level, q, before, hasEarlier]);
  return { tail, error, retry, hasEarlier, earlier, readEarlier };
}
