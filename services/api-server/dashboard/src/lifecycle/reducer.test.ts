import { describe, expect, it } from "vitest";
import {
  GIVE_UP_AFTER,
  INITIAL,
  type Input,
  type Phase,
  phase,
  reduce,
  type ServiceState,
  type ServiceStatus,
  text,
} from "./reducer";

function status(state: Phase, seq: number, more: Partial<ServiceStatus> = {}): ServiceStatus {
  return {
    state,
    seq,
    port: 3001,
    pid: state === "running" ? 7 : null,
    uptime: 0,
    error: null,
    healthy: state === "running",
    generation: 1,
    restarts: 0,
    failures: 0,
    willRestart: false,
    nextRetryAt: null,
    lastFailure: null,
    ...more,
  };
}

const seen = (state: Phase, seq: number, more: Partial<ServiceStatus> = {}): Input => ({
  type: "status",
  status: status(state, seq, more),
  now: 0,
});
const start: Input = { type: "commanded", command: "start", now: 0 };
const stop: Input = { type: "commanded", command: "stop", now: 0 };
const accepted = (command: "start" | "stop" | "restart"): Input => ({ type: "accepted", command });

/** Returns the text after each input. */
function texts(...inputs: Input[]): string[] {
  let state: ServiceState = INITIAL;
  return inputs.map((input) => {
    state = reduce(state, input);
    return text(state);
  });
}

describe("texts", () => {
  it("are exactly those of the original", () => {
    expect(text(INITIAL)).toBe("");
    expect(texts(seen("starting", 1), seen("running", 2), seen("stopping", 3), seen("stopped", 4))).toEqual([
      "Starting...",
      "Running :3001",
      "Stopping...",
      "Stopped",
    ]);
    expect(texts(seen("running", 1, { port: 0 }))).toEqual(["Running"]);
    expect(texts(seen("error", 1, { error: "Port 3001 is taken" }), seen("error", 2))).toEqual([
      "Port 3001 is taken",
      "Error",
    ]);
  });

  it("appear with the click", () => {
    expect(texts(seen("stopped", 1), start)).toEqual(["Stopped", "Starting..."]);
    expect(texts(seen("running", 1), stop)).toEqual(["Running :3001", "Stopping..."]);
    expect(texts(seen("error", 1, { error: "boom" }), start).at(-1)).toBe("Starting...");
  });
});

describe("a status", () => {
  it("never overwrites a transition that was asked for", () => {
    expect(
      texts(
        seen("stopped", 1),
        start,
        seen("stopped", 1),
        seen("stopped", 2),
        seen("starting", 3),
        seen("running", 4),
      ).slice(1),
    ).toEqual(["Starting...", "Starting...", "Starting...", "Starting...", "Running :3001"]);
  });

  it("that is older is ignored", () => {
    expect(texts(seen("running", 5), seen("starting", 4), seen("stopped", 5)).at(-1)).toBe("Running :3001");
  });

  it("may leave out the transition", () => {
    expect(texts(seen("running", 1), stop, seen("stopped", 3)).at(-1)).toBe("Stopped");
  });

  it("of an error ends the transition", () => {
    expect(texts(seen("stopped", 1), start, seen("error", 2, { error: "exited with code 78" })).at(-1)).toBe(
      "exited with code 78",
    );
    expect(
      texts(seen("error", 1, { error: "a" }), start, accepted("start"), seen("error", 3, { error: "b" })).at(-1),
    ).toBe("b");
  });

  it("is taken as it is after a reconnection", () => {
    expect(texts(seen("running", 90), { type: "reconnected" }, seen("stopped", 1)).at(-1)).toBe("Stopped");
    expect(
      texts(seen("stopped", 9), start, accepted("start"), { type: "reconnected" }, seen("stopped", 1)).at(-1),
    ).toBe("Stopped");
  });
});

describe("a command", () => {
  it("that is fulfilled already ends with its answer", () => {
    expect(texts(seen("running", 1), start, accepted("start"), seen("running", 1)).slice(1)).toEqual([
      "Starting...",
      "Starting...",
      "Running :3001",
    ]);
  });

  it("that is refused gives the truth back", () => {
    const state = [seen("stopped", 1), start, { type: "refused", command: "start", message: "no" } as const].reduce(
      reduce,
      INITIAL,
    );
    expect([text(state), state.failure, state.pending]).toEqual(["Stopped", "no", null]);
  });

  it("without any effect is given up", () => {
    expect(
      texts(
        seen("stopped", 1),
        start,
        { type: "tick", now: GIVE_UP_AFTER - 1 },
        { type: "tick", now: GIVE_UP_AFTER },
      ).slice(2),
    ).toEqual(["Starting...", "Startup timeout (30s)"]);
    expect(texts(seen("running", 1), stop, { type: "tick", now: GIVE_UP_AFTER }).at(-1)).toBe("Running :3001");
  });

  it("of a restart leaves the text alone, and ends with the next process", () => {
    const restarting = [seen("running", 1), { type: "commanded", command: "restart", now: 0 } as const].reduce(
      reduce,
      INITIAL,
    );
    expect([text(restarting), restarting.restartingFrom]).toEqual(["Running :3001", 1]);
    const done = reduce(reduce(restarting, accepted("restart")), seen("running", 2, { generation: 2 }));
    expect([text(done), done.restartingFrom, done.pending]).toEqual(["Running :3001", null, null]);
  });
});

describe("any order of events", () => {
  it("ends in the newest state of the server", () => {
    // A small generator with a seed, so that a failure can be repeated.
    let seed = 20261130;
    const next = (below: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % below;
    };
    const phases: Phase[] = ["stopped", "starting", "running", "stopping", "error"];
    for (let round = 0; round < 500; round++) {
      const history = Array.from({ length: 8 }, (_, at) => status(phases[next(5)]!, at + 1));
      let state = INITIAL;
      for (let step = 0; step < 30; step++) {
        const inputs: Input[] = [
          { type: "status", status: history[next(history.length)]!, now: 0 },
          { type: "status", status: history[next(history.length)]!, now: 0 },
          { type: "commanded", command: (["start", "stop", "restart"] as const)[next(3)]!, now: 0 },
          { type: "refused", command: (["start", "stop", "restart"] as const)[next(3)]!, message: "no" },
          { type: "tick", now: 0 },
        ];
        const before = state;
        state = reduce(state, inputs[next(inputs.length)]!);
        expect(state.status?.seq ?? 0).toBeGreaterThanOrEqual(before.status?.seq ?? 0);
      }
      const last = history.at(-1)!;
      state = reduce(reduce(state, { type: "status", status: last, now: 0 }), { type: "tick", now: GIVE_UP_AFTER });
      if (state.failure !== "Startup timeout (30s)") expect(phase(state)).toBe(last.state);
      expect(state.status).toEqual(last);
    }
  });
});
