import { describe, expect, it } from "vitest";
import { providerState } from "./state";

describe("the state of a provider", () => {
  const loaded = { enabled: true, runtime_status: "loaded" };
  const seen = (healthy: boolean, breaker: "closed" | "half-open" | "open") => ({ healthy, breaker });

  it("is that of the router", () => {
    expect(providerState({ ...loaded, enabled: false }, seen(false, "open"))).toEqual(["off", "disabled"]);
    expect(providerState({ ...loaded, runtime_status: "error" })).toEqual(["bad", "not usable"]);
    expect(providerState({ ...loaded, runtime_status: "not_loaded" })).toEqual(["warn", "router is away"]);
    expect(providerState(loaded)).toEqual(["ok", "loaded"]);
  });

  it("says what was seen last", () => {
    expect(providerState(loaded, seen(true, "closed"))).toEqual(["ok", "loaded"]);
    expect(providerState(loaded, seen(false, "closed"))).toEqual(["warn", "last request failed"]);
    expect(providerState(loaded, seen(false, "half-open"))).toEqual(["warn", "is tried again"]);
    expect(providerState(loaded, seen(false, "open"))).toEqual(["bad", "left out for now"]);
  });
});
