/** Commands to the services, with their effect on the state. */

import { create } from "zustand";
import { api, data } from "../api/client";
import { asProblem, type Problem } from "../api/problem";
import { queryClient } from "../api/queries";
import type { Command } from "./reducer";
import { SERVICES, type Service, send, sendStatus } from "./store";

/** What a refused start offers: the next free port, or the end of the process that holds it. */
export interface StartOptions {
  autoPort?: boolean;
  force?: boolean;
  expectPid?: number;
}

const PATHS = { start: "/api/proxy/start", stop: "/api/proxy/stop", restart: "/api/proxy/restart" } as const;

/** A command that was refused, and why. */
export interface Refusal {
  problem: Problem;
  command: Command;
  /** The service that it was for; `null`: both. */
  service: Service | null;
}

/** Refusal of the last command, shown where it was given. */
export const useRefusal = create<{ refusal: Refusal | null }>(() => ({ refusal: null }));

/** Runs a command on a service, or on both. Never throws: the outcome is in the state. */
export async function command(kind: Command, service: Service | null, options: StartOptions = {}): Promise<void> {
  const affected = service === null ? SERVICES : [service];
  useRefusal.setState({ refusal: null });
  for (const one of affected) send(one, { type: "commanded", command: kind, now: Date.now() });
  const body = service === null ? options : { ...options, service };
  try {
    const status = await data(api.POST(PATHS[kind], { body }));
    for (const one of affected) send(one, { type: "accepted", command: kind });
    sendStatus(status);
    queryClient.setQueryData(["status"], (known: object | undefined) => known && { ...known, ...status });
  } catch (error) {
    const problem = asProblem(error);
    for (const one of affected) send(one, { type: "refused", command: kind, message: problem.message });
    useRefusal.setState({ refusal: { problem, command: kind, service } });
    void queryClient.invalidateQueries({ queryKey: ["status"] });
  }
}

/** Gives up commands without effect. Returns the function that stops it. */
export function watchCommands(): () => void {
  const timer = setInterval(() => {
    const now = Date.now();
    for (const service of SERVICES) send(service, { type: "tick", now });
  }, 1_000);
  return () => clearInterval(timer);
}
