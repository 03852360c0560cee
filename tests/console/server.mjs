// The three programs, in a directory of their own, on free ports.
import { execFile, spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { preview } from "./preview.mjs";

/** Returns Playwright, and the source of axe-core, from the packages of the console. */
export function tools() {
  const require = createRequire(new URL("../../services/api-server/dashboard/package.json", import.meta.url));
  return { chromium: require("playwright-core").chromium, axe: readFileSync(require.resolve("axe-core/axe.min.js"), "utf8") };
}

const START_TIMEOUT = 60_000;

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export class Server {
  static async start(bin, data, options) {
    mkdirSync(data, { recursive: true });
    const server = new Server();
    const [port, routerPort, qwenPort] = await Promise.all([freePort(), freePort(), freePort()]);
    // `api` is the address of api-server; `url` is that of the console, which may be another one in front of it.
    const api = `http://127.0.0.1:${port}`;
    Object.assign(server, { bin, data, options, port, routerPort, qwenPort, api, url: api, log: "" });
    await server.resume();
    return await server.previewed();
  }

  /** Starts the programs, on the same ports as before. */
  async resume() {
    const { bin, data, options, port, routerPort, qwenPort, api } = this;
    const ports = ["--port", port, "--router-port", routerPort, "--qwen-port", qwenPort].map(String);
    const child = spawn(join(bin, "api-server"), ["--data-dir", data, "--autostart", "true", ...ports, ...options], { stdio: ["ignore", "ignore", "pipe"] });
    process.once("exit", () => child.kill("SIGTERM"));
    child.stderr.on("data", (text) => {
      this.log = (this.log + text).slice(-4_000);
    });
    this.child = child;
    this.exited = new Promise((resolve) => child.once("exit", resolve));
    const until = Date.now() + START_TIMEOUT;
    for (;;) {
      const answer = await fetch(`${api}/api/health`).catch(() => null);
      if (answer?.ok) return;
      if (child.exitCode !== null || Date.now() > until) throw new Error(`api-server does not answer:\n${this.log}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Ends the programs. What is in front of them stays. */
  async halt() {
    this.child.kill("SIGTERM");
    await this.exited;
  }

  /** Shows the console of `DASHBOARD` instead of the one in the program. */
  async previewed() {
    const directory = process.env.DASHBOARD;
    if (directory) {
      this.shown = await preview(directory, this.url);
      this.url = this.shown.url;
    }
    return this;
  }

  async token() {
    const { stdout } = await promisify(execFile)(join(this.bin, "api-server"), ["token", "--data-dir", this.data]);
    return stdout.trim();
  }

  async stop() {
    this.shown?.close();
    await this.halt();
  }
}
