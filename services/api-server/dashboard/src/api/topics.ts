/** Events that the server computes only for those who subscribe to them. */

import { useEffect, useState } from "react";
import { connection } from "./socket";

/** What a process uses; `null` where the operating system does not tell. */
export interface ProcessStats {
  cpu_percent: number | null;
  rss_bytes: number | null;
  open_files: number | null;
  threads: number | null;
}

/** `process:stats`, every two seconds. */
export interface ProcessEvent {
  providerRouter: { pid: number | null; stats: ProcessStats };
  qwenProxy: { pid: number | null; stats: ProcessStats };
  apiServer: { pid: number | null; stats: ProcessStats };
}

export type Breaker = "closed" | "half-open" | "open";

export interface ProviderActivity {
  id: string;
  healthy: boolean;
  breaker: Breaker;
  /** Milliseconds until it is tried again. */
  cooldown_ms: number | null;
  in_flight: number;
}

/** `metrics:tick`, every second. Rates are `null` in the first one. */
export interface Tick {
  /** Whether the router answers. */
  router: boolean;
  in_flight: number | null;
  requests_per_s: number | null;
  errors_per_s: number | null;
  tokens_per_s: number | null;
  /** Times of the requests that ended last, the newest last. */
  latencies: { duration_ms: number; first_byte_ms: number | null }[];
  providers: ProviderActivity[];
}

/** `audit:new`, at most every second. */
export interface AuditEvent {
  /** Number of new entries, whatever the filters of a page. */
  count: number;
  timestamp: string;
}

interface Topics {
  process: { event: "process:stats"; value: ProcessEvent };
  metrics: { event: "metrics:tick"; value: Tick };
  audit: { event: "audit:new"; value: AuditEvent };
}

const EVENTS: { [Name in keyof Topics]: Topics[Name]["event"] } = {
  process: "process:stats",
  metrics: "metrics:tick",
  audit: "audit:new",
};

/**
 * Returns the newest values of a topic, the newest last, while the page is visible. It is empty until the first one; a
 * server that does not know the topic sends none.
 */
export function useTopic<Name extends keyof Topics>(
  name: Name,
  { keep = 1, paused = false }: { keep?: number; paused?: boolean } = {},
): Topics[Name]["value"][] {
  const [values, setValues] = useState<Topics[Name]["value"][]>([]);
  useEffect(() => {
    if (paused) return;
    const socket = connection();
    const received = (value: Topics[Name]["value"]) =>
      setValues((old) => [...old.slice(1 - keep || old.length), value]);
    const subscribe = () => void socket.emit(`${name}:subscribe`);
    const unsubscribe = () => void socket.emit(`${name}:unsubscribe`);
    // Nobody looks at a hidden page.
    const shown = () => (document.hidden ? unsubscribe() : subscribe());
    socket.on("connect", subscribe);
    socket.on(EVENTS[name] as string, received);
    document.addEventListener("visibilitychange", shown);
    if (socket.connected && !document.hidden) subscribe();
    return () => {
      socket.off("connect", subscribe);
      socket.off(EVENTS[name] as string, received);
      document.removeEventListener("visibilitychange", shown);
      unsubscribe();
    };
  }, [name, keep, paused]);
  return values;
}
