import type { Tone } from "../../parts/mark";
import type { Answer } from "./answer";

/** Mark and word of each state of an answer. */
export const STATES: Record<Answer["state"], [Tone, string]> = {
  queued: ["off", "waits for its turn"],
  waiting: ["busy", "waiting"],
  streaming: ["busy", "answering"],
  done: ["ok", "done"],
  stopped: ["off", "stopped"],
  failed: ["bad", "failed"],
};
