// Listens to api-server with the real socket.io-client and prints every event as one line of JSON.
// Usage: node listen.mjs <address> <websocket|polling> [token]. A line on stdin is an event to emit, followed by its
// data as JSON, if any, or `reconnect`. Ends at the end of stdin.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const [address, transport, token] = process.argv.slice(2);
const say = (event, data) => process.stdout.write(`${JSON.stringify({ event, data })}\n`);

const socket = io(address, { transports: [transport], auth: token ? { token } : {}, reconnectionDelay: 50 });
socket.on("connect", () => say("connect", { transport: socket.io.engine.transport.name }));
socket.on("connect_error", (error) => say("connect_error", { message: error.message }));
socket.on("disconnect", (reason) => say("disconnect", { reason }));
socket.onAny((event, data) => say(event, data));

function emit(line) {
  const [, event, data] = line.match(/^(\S+)\s*(.*)$/);
  return data ? socket.emit(event, JSON.parse(data)) : socket.emit(event);
}

createInterface({ input: process.stdin })
  .on("line", (line) => (line === "reconnect" ? socket.disconnect().connect() : emit(line)))
  .on("close", () => process.exit(0));
