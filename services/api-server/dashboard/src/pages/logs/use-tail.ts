/** Subscription to a log, whose lines are added once per frame. */

import { useEffect, useState } from "react";
import { connection } from "../../api/socket";
import { append, EMPTY, rejoin, type Tail } from "./tail";

const HISTORY = 500;

interface LogEvent {
  service: string;
  lines?: string[];
  missed?: number;
  error?: string;
}

export function useTail(service: string): { tail: Tail; error: string | null } {
  const [tail, setTail] = useState<Tail>(EMPTY);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    const socket = connection();
    let waiting: LogEvent[] = [];
    let frame = 0;
    setTail(EMPTY);
    setError(null);
    const flush = () => {
      frame = 0;
      const events = waiting;
      waiting = [];
      setTail((tail) => events.reduce((sum, event) => append(sum, event.lines ?? [], event.missed ?? 0), tail));
    };
    const subscribe = () => void socket.emit("logs:subscribe", { service, lines: HISTORY });
    const subscribed = (event: LogEvent) => {
      if (event.service !== service) return;
      setError(null);
      setTail((tail) => rejoin(tail, event.lines ?? []));
    };
    const line = (event: LogEvent) => {
      if (event.service !== service) return;
      waiting.push(event);
      // A hidden page has no frames.
      if (document.hidden) flush();
      else if (frame === 0) frame = requestAnimationFrame(flush);
    };
    const refused = (event: LogEvent) => {
      if (event.service === service || event.service === null) setError(event.error ?? "The log cannot be followed.");
    };
    socket.on("connect", subscribe);
    socket.on("logs:subscribed", subscribed);
    socket.on("logs:line", line);
    socket.on("logs:error", refused);
    if (socket.connected) subscribe();
    return () => {
      cancelAnimationFrame(frame);
      socket.off("connect", subscribe);
      socket.off("logs:subscribed", subscribed);
      socket.off("logs:line", line);
      socket.off("logs:error", refused);
      socket.emit("logs:unsubscribe", { service });
    };
  }, [service]);
  return { tail, error };
}
