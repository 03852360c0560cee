import { shell } from "../connect/curl";

/** Returns the command that sends a logged request once more. */
export function asCurl(base: string, request: { method: string; path: string; openai_request?: unknown }): string {
  const method = request.method === "POST" ? "" : ` -X ${request.method}`;
  const version = request.path.startsWith("/v1/messages") ? ` -H ${shell("anthropic-version: 2023-06-01")}` : "";
  return `curl -N${method} ${shell(base + request.path)} -H ${shell("Content-Type: application/json")}${version} -d ${shell(JSON.stringify(request.openai_request ?? {}))}`;
}
