/**
 * State of one service, from events and commands. Pure.
 *
 * Events and responses repeat, arrive late and may leave out `stopping`. `seq` orders them: it grows with every change
 * of a service. A command shows its effect at once, and a status that still shows the state before the command never
 * overwrites that.
 */

export type Phase = "stopped" | "starting" | "running" | "stopping" | "error";

export type Command = "start" | "stop" | "restart";

/** Status of a service, as the API and the events send it. */
export interface ServiceStatus {
  state: Phase;
  port: number;
  pid: number | null;
  uptime: number;
  error: string | null;
  healthy: boolean;
  generation: number;
  restarts: number;
  failures: number;
  willRestart: boolean;
  nextRetryAt: number | null;
  lastFailure: { code: string; message: string; exitCode: number | null; signal: number | null } | null;
  seq: number;
}

/** A command whose effect has not been seen. */
interface Wish {
  command: "start" | "stop";
  /** Phase before the command; `null` if none was known. */
  before: Phase | null;
  since: number;
  /** Whether the server has accepted it. */
  accepted: boolean;
}

export interface ServiceState {
  /** Newest status of the server. */
  status: ServiceStatus | null;
  /** When `status` was received. */
  receivedAt: number;
  wish: Wish | null;
  /** Command whose response is outstanding. */
  pending: Command | null;
  /** Generation before the restart that is under way. */
  restartingFrom: number | null;
  /** Why the last command of this console failed. */
  failure: string | null;
}

export type Input =
  | { type: "commanded"; command: Command; now: number }
  | { type: "status"; status: ServiceStatus; now: number }
  | { type: "accepted"; command: Command }
  | { type: "refused"; command: Command; message: string }
  | { type: "reconnected" }
  | { type: "tick"; now: number };

/** Milliseconds after which a command without any effect is given up. The server gives up after 30 s itself. */
export const GIVE_UP_AFTER = 35_000;

export const INITIAL: ServiceState = {
  status: null,
  receivedAt: 0,
  wish: null,
  pending: null,
  restartingFrom: null,
  failure: null,
};

const TIMED_OUT = "Startup timeout (30s)";

export function reduce(state: ServiceState, input: Input): ServiceState {
  switch (input.type) {
    case "commanded":
      return commanded(state, input.command, input.now);
    case "status":
      return received(state, input.status, input.now);
    case "accepted":
      return {
        ...state,
        pending: state.pending === input.command ? null : state.pending,
        wish: state.wish?.command === input.command ? { ...state.wish, accepted: true } : state.wish,
      };
    case "refused":
      return {
        ...state,
        pending: state.pending === input.command ? null : state.pending,
        wish: state.wish?.command === input.command ? null : state.wish,
        restartingFrom: input.command === "restart" ? null : state.restartingFrom,
        failure: input.message,
      };
    case "reconnected":
      // Another process may have answered: its numbers begin anew.
      return {
        ...state,
        status: state.status && { ...state.status, seq: -1 },
        wish: state.wish?.accepted ? null : state.wish,
      };
    case "tick":
      return ticked(state, input.now);
  }
}

function commanded(state: ServiceState, command: Command, now: number): ServiceState {
  const next = { ...state, pending: command, failure: null };
  if (command === "restart") {
    return { ...next, wish: null, restartingFrom: state.status?.generation ?? null };
  }
  return {
    ...next,
    restartingFrom: null,
    wish: { command, before: state.status?.state ?? null, since: now, accepted: false },
  };
}

function received(state: ServiceState, status: ServiceStatus, now: number): ServiceState {
  if (state.status !== null && status.seq < state.status.seq) return state;
  if (state.status !== null && status.seq === state.status.seq) {
    // The same state again; only the age of the process differs.
    return fulfil({ ...state, status: { ...state.status, uptime: status.uptime }, receivedAt: now }, status);
  }
  const moved = fulfil({ ...state, status, receivedAt: now }, status);
  const { wish } = moved;
  if (wish === null || (status.state === wish.before && !wish.accepted)) return moved;
  return { ...moved, wish: null };
}

/** Ends what has come true. */
function fulfil(state: ServiceState, status: ServiceStatus): ServiceState {
  const goal = state.wish?.command === "start" ? "running" : "stopped";
  const wish = state.wish?.accepted && status.state === goal ? null : state.wish;
  const replaced = state.restartingFrom !== null && status.generation > state.restartingFrom;
  return { ...state, wish, restartingFrom: replaced ? null : state.restartingFrom };
}

function ticked(state: ServiceState, now: number): ServiceState {
  const { wish } = state;
  if (wish === null || now - wish.since < GIVE_UP_AFTER) return state;
  const unheard = wish.command === "start" && state.status?.state !== "error";
  return { ...state, wish: null, pending: null, failure: unheard ? TIMED_OUT : state.failure };
}

/** Returns the phase to show. */
export function phase(state: ServiceState): Phase {
  if (state.wish !== null) return state.wish.command === "start" ? "starting" : "stopping";
  if (state.failure === TIMED_OUT) return "error";
  return state.status?.state ?? "stopped";
}

/** Returns the text of the status bar, or an empty text while nothing is known. */
export function text(state: ServiceState): string {
  if (state.status === null && state.wish === null) return "";
  switch (phase(state)) {
    case "starting":
      return "Starting...";
    case "running":
      return state.status?.port ? `Running :${state.status.port}` : "Running";
    case "stopping":
      return "Stopping...";
    case "stopped":
      return "Stopped";
    case "error":
      return (state.failure === TIMED_OUT ? TIMED_OUT : state.status?.error) || "Error";
  }
}

/** Returns whether the mark turns. */
export function isTransitional(state: ServiceState): boolean {
  const shown = phase(state);
  return shown === "starting" || shown === "stopping";
}
