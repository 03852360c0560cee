/** Failures of the API in one shape. */

/** Process that holds a port. */
export interface PortOwner {
  pid: number;
  name?: string | null;
}

/** Reason why a request failed, for the user. */
export class Problem extends Error {
  override readonly name = "Problem";

  constructor(
    message: string,
    readonly details: {
      /** HTTP status; `null` if there was no response. */
      status: number | null;
      code?: string | undefined;
      /** Every mistake of an invalid request. */
      mistakes?: string[] | undefined;
      requestId?: string | undefined;
      /** Of `PORT_IN_USE`. */
      port?: number | undefined;
      owner?: PortOwner | undefined;
    },
  ) {
    super(message);
  }

  /** Whether the server could not be reached. */
  get isOffline(): boolean {
    return this.details.status === null;
  }

  get isNotFound(): boolean {
    return this.details.status === 404;
  }
}

/** Returns the problem that a response describes. The API has three shapes of errors. */
export function problemOf(status: number, body: unknown, requestId?: string): Problem {
  const outer = record(body);
  const inner = record(outer.error);
  const message =
    text(inner.message) ??
    text(outer.message) ??
    text(outer.error) ??
    (typeof body === "string" && body !== "" ? body.slice(0, 300) : undefined) ??
    `The server answered with status ${status}.`;
  const errors = inner.errors ?? outer.errors;
  const mistakes = Array.isArray(errors)
    ? errors.filter((item): item is string => typeof item === "string")
    : undefined;
  const owner = record(outer.owner);
  return new Problem(message, {
    status,
    code: text(inner.code) ?? text(outer.code),
    mistakes: mistakes?.length ? mistakes : undefined,
    requestId,
    port: typeof outer.port === "number" ? outer.port : undefined,
    owner: typeof owner.pid === "number" ? { pid: owner.pid, name: text(owner.name) ?? null } : undefined,
  });
}

/** Returns any thrown value as a problem. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof DOMException && error.name === "AbortError") {
    return new Problem("The request was cancelled.", { status: null, code: "aborted" });
  }
  if (error instanceof TypeError) {
    return new Problem("The API server does not answer. It may be restarting, or it was stopped.", { status: null });
  }
  return new Problem(error instanceof Error ? error.message : String(error), { status: null });
}

/**
 * Returns the mistakes by field. A mistake belongs to the first of `fields` that it begins with, or that it names as a
 * word before a colon; the others are under the empty name.
 */
export function mistakesByField(problem: Problem | null, fields: string[]): Map<string, string[]> {
  const sorted = new Map<string, string[]>();
  for (const mistake of problem?.details.mistakes ?? []) {
    const field = fields
      .filter(
        (name) =>
          mistake === name ||
          mistake.startsWith(`${name} `) ||
          mistake.startsWith(`${name}:`) ||
          mistake.startsWith(`config.${name} `),
      )
      .sort((a, b) => b.length - a.length)[0];
    const key = field ?? "";
    sorted.set(key, [...(sorted.get(key) ?? []), mistake]);
  }
  return sorted;
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
