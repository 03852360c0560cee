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

function freePort() {
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
    const [port, routerPort, qwenPort] = await Promise.all([freePort(), freePort(), freePort()]);
    const ports = ["--port", port, "--router-port", routerPort, "--qwen-port", qwenPort].map(String);
    const child = spawn(join(bin, "api-server"), ["--data-dir", data, "--autostart", "true", ...ports, ...options], { stdio: ["ignore", "ignore", "pipe"] });
    process.once("exit", () => child.kill("SIGTERM"));
    const server = new Server();
    Object.assign(server, { bin, data, child, routerPort, qwenPort, url: `http://127.0.0.1:${port}`, log: "" });
    child.stderr.on("data", (text) => {
      server.log = (server.log + text).slice(-4_000);
    });
    server.exited = new Promise((resolve) => child.once("exit", resolve));
    const until = Date.now() + START_TIMEOUT;
    for (;;) {
      const answer = await fetch(`${server.url}/api/health`).catch(() => null);
      if (answer?.ok) return await server.previewed();
      if (child.exitCode !== null || Date.now() > until) throw new Error(`api-server does not answer:\n${server.log}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
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
    this.child.kill("SIGTERM");
    await this.exited;
  }
}
