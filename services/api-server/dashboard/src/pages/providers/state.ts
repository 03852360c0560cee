/** The state of a provider in words. Pure. */

import type { ProviderActivity } from "../../api/topics";
import type { Tone } from "../../parts/mark";

type Activity = Pick<ProviderActivity, "healthy" | "breaker">;

/** Returns mark and words for the state of a provider, and for what the router has seen of it last. */
export function providerState(
  provider: { enabled: boolean; runtime_status: string },
  activity?: Activity | undefined,
): [Tone, string] {
  if (!provider.enabled) return ["off", "disabled"];
  if (provider.runtime_status === "error") return ["bad", "not usable"];
  if (provider.runtime_status !== "loaded") return ["warn", "router is away"];
  if (activity?.breaker === "open") return ["bad", "left out for now"];
  if (activity?.breaker === "half-open") return ["warn", "is tried again"];
  return activity?.healthy === false ? ["warn", "last request failed"] : ["ok", "loaded"];
}
