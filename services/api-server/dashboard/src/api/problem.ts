/** Failures of the API in one shape. */

/** Process that holds a port. */
export interface PortOwner {
  pid: number;
  name?: string | null;
}

/** What is wrong with one field of a request. */
export interface FieldMistake {
  /** Path of the field, such as `targets[0].provider`. */
  field: string;
  message: string;
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
      /** The same mistakes by field, if the server tells. */
      fields?: FieldMistake[] | undefined;
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

  /** Whether what was to be changed has been changed by somebody else meanwhile. */
  get isConflict(): boolean {
    return this.details.status === 412;
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
    fields: fieldsOf(inner.details ?? outer.details),
    requestId,
    port: typeof outer.port === "number" ? outer.port : undefined,
    owner: typeof owner.pid === "number" ? { pid: owner.pid, name: text(owner.name) ?? null } : undefined,
  });
}

function fieldsOf(details: unknown): FieldMistake[] | undefined {
  if (!Array.isArray(details)) return undefined;
  const fields = details.map(record).flatMap(({ field, message }) => {
    const told = text(message);
    return told === undefined ? [] : [{ field: text(field) ?? "", message: told }];
  });
  return fields.length > 0 ? fields : undefined;
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

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
