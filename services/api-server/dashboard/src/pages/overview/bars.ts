/** Requests per minute as bars. Pure. */

import type { Minutes } from "../../api/overview";

export interface Bar {
  /** Height of all requests, and of those that failed. */
  all: number;
  failed: number;
}

/** Least height of a bar that stands for a request, so that it can be seen. */
const LEAST = 2;

/** Returns a bar for each minute; the highest one has the given height. */
export function barsOf({ requests, errors }: Pick<Minutes, "requests" | "errors">, height: number): Bar[] {
  const most = Math.max(1, ...requests);
  const scaled = (value: number) => (value === 0 ? 0 : Math.max(LEAST, (height * value) / most));
  return requests.map((value, at) => ({
    all: scaled(value),
    failed: Math.min(scaled(value), scaled(errors[at] ?? 0)),
  }));
}
