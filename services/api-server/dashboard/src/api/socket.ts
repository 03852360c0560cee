/** Live events: connection, and what each event changes. */

import { io, type Socket } from "socket.io-client";
import { address } from "../app/base";
import { askToSignIn } from "../app/session";
import { SERVICES, send, sendStatus } from "../lifecycle/store";
import { toast } from "../parts/toast";
import { useConnection } from "./connection";
import { gone, queryClient } from "./queries";

export { useConnection };

/** Milliseconds of a lost connection that are not worth a word; the extension is not reported as gone in them either. */
const GRACE = 2_000;

/** Milliseconds before a connection is tried again that the server has ended or refused. */
const REFUSED_PAUSE = 2_000;

/** What is read anew when things of a kind have changed. Routes tell which of their targets cannot be asked. */
const FOLLOWED = {
  providers: ["providers", "models", "routes"],
  models: ["models", "providers"],
  settings: ["settings"],
  routes: ["routes"],
  keys: ["keys"],
  prices: ["prices"],
};

let socket: Socket | null = null;
let connectedOnce = false;
let quietUntil = 0;
let leaving: ReturnType<typeof setTimeout> | undefined;

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
  const opened = socket;
  // The library tries again by itself only where the server has not ended or refused the connection.
  const tryAgain = () => {
    if (!opened.active) setTimeout(() => opened.active || opened.connect(), REFUSED_PAUSE);
  };
  socket.on("connect", connected);
  socket.on("disconnect", () => {
    lost();
    tryAgain();
  });
  socket.on("connect_error", (error) => {
    if (error.message.startsWith("Unauthorized")) askToSignIn();
    else tryAgain();
    lost();
    useConnection.setState((state) => ({ attempts: state.attempts + 1 }));
  });
  socket.on("proxy:status", (event: { status?: StatusEvent }) => {
    if (event.status) received(event.status);
  });
  socket.on("lifecycle:update", received);
  for (const [kind, roots] of Object.entries(FOLLOWED)) socket.on(`${kind}:updated`, () => void invalidate(...roots));
  socket.on("credentials:updated", (event: { action?: string }) => {
    void invalidate("logins", "status");
    toast(event.action === "deleted" ? "A Qwen login was removed" : "Qwen logins were updated");
  });
  socket.on("requests:new", (event: { count?: number }) => {
    useConnection.setState((state) => ({ news: state.news + (event.count ?? 1) }));
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
  quietUntil = Date.now() + GRACE;
  clearTimeout(leaving);
  leaving = undefined;
  for (const service of SERVICES) send(service, { type: "reconnected" });
  if (useConnection.getState().away) toast("API Server connected", { kind: "ok" });
  useConnection.setState({ connected: true, lostAt: null, away: false, attempts: 0 });
  if (connectedOnce) void queryClient.invalidateQueries();
  connectedOnce = true;
}

/** A short loss, such as that of a restart, is not shown. A longer one is, and the banner stays as long as it lasts. */
function lost(): void {
  quietUntil = Date.now() + GRACE;
  useConnection.setState(({ lostAt }) => ({ connected: false, lostAt: lostAt ?? Date.now() }));
  leaving ??= setTimeout(() => {
    useConnection.setState({ away: true });
    if (connectedOnce) toast("API Server disconnected");
  }, GRACE);
}

function invalidate(...roots: string[]): Promise<unknown> {
  const predicate = ({ queryKey }: { queryKey: readonly unknown[] }) => !gone.has(String(queryKey[1]));
  return Promise.all(roots.map((root) => queryClient.invalidateQueries({ queryKey: [root], predicate })));
}
