/** Live events: connection, and what each event changes. */

import { io, type Socket } from "socket.io-client";
import { create } from "zustand";
import { address } from "../app/base";
import { askToSignIn } from "../app/session";
import { SERVICES, send, sendStatus } from "../lifecycle/store";
import { toast } from "../parts/toast";
import { queryClient } from "./queries";

interface Connection {
  connected: boolean;
  /** When the connection was lost; `null` while it stands or was never there. */
  lostAt: number | null;
  attempts: number;
  extension: boolean;
  /** Requests that arrived since the list was last shown at its top. */
  news: number;
}

export const useConnection = create<Connection>(() => ({
  connected: false,
  lostAt: null,
  attempts: 0,
  extension: false,
  news: 0,
}));

/** Milliseconds after a lost connection in which the extension is not reported as gone. */
const EXTENSION_GRACE = 2_000;

let socket: Socket | null = null;
let connectedOnce = false;
let quietUntil = 0;

/** Returns the connection, opening it first. */
export function connection(): Socket {
  socket ??= open();
  return socket;
}

/** Connects again at once, as after signing in. */
export function reconnect(): void {
  connection().disconnect().connect();
}

function open(): Socket {
  const socket = io({
    path: address("/socket.io/"),
    transports: ["websocket", "polling"],
    tryAllTransports: true,
    reconnectionDelay: 500,
    reconnectionDelayMax: 5_000,
    randomizationFactor: 0.3,
  });
  socket.on("connect", connected);
  socket.on("disconnect", lost);
  socket.on("connect_error", (error) => {
    if (error.message.startsWith("Unauthorized")) askToSignIn();
    useConnection.setState((state) => ({ attempts: state.attempts + 1, lostAt: state.lostAt ?? Date.now() }));
  });
  socket.on("proxy:status", (event: { status?: StatusEvent }) => {
    if (event.status) received(event.status);
  });
  socket.on("lifecycle:update", received);
  socket.on("providers:updated", () => void invalidate("providers", "models", "audit"));
  socket.on("models:updated", () => void invalidate("models", "providers", "audit"));
  socket.on("settings:updated", () => void invalidate("settings", "audit"));
  socket.on("credentials:updated", (event: { action?: string }) => {
    void invalidate("logins", "status", "audit");
    toast(event.action === "deleted" ? "A Qwen login was removed" : "Qwen logins were updated");
  });
  socket.on("requests:new", (event: { count?: number }) => {
    useConnection.setState((state) => ({ news: state.news + (event.count ?? 1) }));
    void queryClient.invalidateQueries({ queryKey: ["requests", "stats"] });
    void queryClient.invalidateQueries({ queryKey: ["requests", "recent"] });
    void queryClient.invalidateQueries({ queryKey: ["sessions"] });
  });
  return socket;
}

interface StatusEvent {
  extensionConnected?: boolean;
  providerRouter?: unknown;
  qwenProxy?: unknown;
}

function received(status: StatusEvent): void {
  sendStatus(status);
  const { extension } = useConnection.getState();
  if (typeof status.extensionConnected === "boolean" && status.extensionConnected !== extension) {
    useConnection.setState({ extension: status.extensionConnected });
    if (Date.now() > quietUntil) toast(`Chrome Extension ${status.extensionConnected ? "connected" : "disconnected"}`);
  }
  queryClient.setQueryData(["status"], (known: object | undefined) => known && { ...known, ...status });
}

function connected(): void {
  quietUntil = Date.now() + EXTENSION_GRACE;
  for (const service of SERVICES) send(service, { type: "reconnected" });
  useConnection.setState({ connected: true, lostAt: null, attempts: 0 });
  if (connectedOnce) {
    toast("API Server connected", { kind: "ok" });
    void queryClient.invalidateQueries();
  }
  connectedOnce = true;
}

function lost(): void {
  // The banner stays as long as the connection is lost.
  toast("API Server disconnected");
  quietUntil = Date.now() + EXTENSION_GRACE;
  useConnection.setState({ connected: false, lostAt: Date.now() });
}

function invalidate(...roots: string[]): Promise<unknown> {
  return Promise.all(roots.map((root) => queryClient.invalidateQueries({ queryKey: [root] })));
}
