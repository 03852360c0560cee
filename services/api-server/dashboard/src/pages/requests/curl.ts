import { command, shell } from "../connect/curl";

/** Characters of a body that a command line may have; systems refuse longer arguments. */
const MAX_ARGUMENT = 100_000;

interface Asked {
  request_id: string;
  method: string;
  path: string;
  key_id?: string | null;
}

/** Returns the command that sends a logged request once more. A long body is read from a file. */
export function asCurl(base: string, request: Asked, body: string): string {
  const { request_id: id, method, path, key_id: key } = request;
  return command(
    method === "POST" ? "" : `-X ${method}`,
    shell(base + path),
    // The key itself is not known.
    key ? `-H "Authorization: Bearer $SIGNALBOX_API_KEY"` : "",
    `-H ${shell("Content-Type: application/json")}`,
    path.startsWith("/v1/messages") ? `-H ${shell("anthropic-version: 2023-06-01")}` : "",
    body.length > MAX_ARGUMENT ? `--data-binary ${shell(`@${id}-asked.json`)}` : `-d ${shell(body)}`,
  );
}

/** Returns whether the command reads the body from a file. */
export function needsFile(body: string): boolean {
  return body.length > MAX_ARGUMENT;
}
