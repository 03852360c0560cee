// Servers in front of a running api-server: a console from a directory, so that a changed page is seen without building the
// programs, and a reverse proxy.
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer, request } from "node:http";
import { connect } from "node:net";
import { extname, join, normalize } from "node:path";
import { pipeline } from "node:stream";

const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".webmanifest": "application/manifest+json",
};
/** Headers of the page that hold for every file of it. */
const POLICY = ["content-security-policy", "x-content-type-options", "referrer-policy", "cross-origin-opener-policy", "permissions-policy"];

/** Returns the file that a request asks for, or `null`: it is for the server. */
function fileOf(directory, { method, url, headers }) {
  if (method !== "GET") return null;
  const { pathname } = new URL(url, "http://console");
  const file = join(directory, normalize(pathname));
  if (extname(file) in TYPES && existsSync(file) && statSync(file).isFile()) return file;
  const forServer = /^\/(api|v1|socket\.io|docs|openapi\.json)(\/|$|\?)/.test(pathname);
  return !forServer && headers.accept?.includes("text/html") ? join(directory, "index.html") : null;
}

/** Serves `directory`, and everything else from `target`. Returns its address, and how it is closed. */
export async function preview(directory, target) {
  if (!existsSync(join(directory, "index.html"))) throw new Error(`${directory} has no index.html: build the console first`);
  const { headers: given } = await fetch(target, { headers: { accept: "text/html" } });
  const policy = Object.fromEntries(POLICY.flatMap((name) => (given.has(name) ? [[name, given.get(name)]] : [])));
  return await listen(target, {}, (asked, answer) => {
    const file = fileOf(directory, asked);
    if (!file) return false;
    answer.writeHead(200, { "content-type": TYPES[extname(file)], "cache-control": "no-cache", ...policy });
    createReadStream(file).pipe(answer);
    return true;
  });
}

/**
 * Shows `target` below a path, as a reverse proxy does: it removes the path from requests, and names it if `named`.
 * What is outside the path is not found.
 */
export function forward(target, { path, named }) {
  return listen(target, { path, ...(named && { headers: { "x-forwarded-prefix": path } }) }, ({ url }, answer) => {
    if (url.startsWith(`${path}/`)) return false;
    answer.writeHead(404).end();
    return true;
  });
}

/** Passes on what `serve` does not answer, sockets included. */
async function listen(target, { path = "", headers: added = {} }, serve) {
  const { hostname, port, host } = new URL(target);
  const forwarded = (headers) => ({ ...headers, ...added, host, ...(headers.origin && { origin: target }) });
  const server = createServer((asked, answer) => {
    if (serve(asked, answer)) return;
    const { method, url, headers } = asked;
    const passed = request({ hostname, port, method, path: url.slice(path.length), headers: forwarded(headers) }, (got) => {
      answer.writeHead(got.statusCode, got.headers);
      // An answer that breaks off does so for the browser, too.
      pipeline(got, answer, () => {});
    });
    passed.on("error", () => answer.destroy());
    answer.on("close", () => passed.destroy());
    asked.pipe(passed);
  });
  const sockets = new Set();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("upgrade", ({ url, headers }, socket, head) => {
    const upstream = connect(port, hostname, () => {
      const lines = Object.entries(forwarded(headers)).map(([name, value]) => `${name}: ${value}`);
      upstream.write(`GET ${url.slice(path.length)} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
      upstream.write(head);
      socket.pipe(upstream).pipe(socket);
    });
    for (const [one, other] of [[socket, upstream], [upstream, socket]]) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
