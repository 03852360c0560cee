/** The address at which clients reach the router. */

import { useQuery } from "@tanstack/react-query";
import { statusQuery } from "../../api/queries";
import { useServices } from "../../lifecycle/store";

/** Returns the address for a host as the browser sees it and the router's port, without a path. */
export function baseOf(location: { protocol: string; hostname: string }, port: number): string {
  const host =
    location.hostname.includes(":") && !location.hostname.startsWith("[")
      ? `[${location.hostname}]`
      : location.hostname;
  return `${location.protocol}//${host}:${port}`;
}

/** Returns the base address of the router, with the port that it listens on. */
export function useBase(): string {
  useQuery(statusQuery);
  const port = useServices((state) => state["provider-router"].status?.port);
  return baseOf(location, port || 3001);
}
