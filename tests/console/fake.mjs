// The provider of the tests, whose behaviour the name of the model selects: `fake-provider --help` lists the names.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { join } from "node:path";

/** Starts the fake on a free port. Returns its address, and how it is ended. */
export async function startFake(bin, key) {
  const child = spawn(join(bin, "fake-provider"), ["--port", "0", ...(key ? ["--key", key] : [])], { stdio: ["ignore", "pipe", "pipe"] });
  process.once("exit", () => child.kill("SIGTERM"));
  const lines = [child.stdout, child.stderr].map((input) => createInterface({ input }));
  const port = await new Promise((resolve, reject) => {
    child.once("exit", () => reject(new Error("fake-provider has ended")));
    child.once("error", reject);
    for (const one of lines)
      one.on("line", (line) => {
        const found = line.match(/127\.0\.0\.1:(\d+)/);
        if (found) resolve(found[1]);
      });
  });
  return { url: `http://127.0.0.1:${port}/v1`, stop: () => child.kill("SIGTERM") };
}
