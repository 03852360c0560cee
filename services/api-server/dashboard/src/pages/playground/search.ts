import { textParam } from "../../app/search";

export interface PlaygroundSearch {
  /** The model, and the one beside it. */
  a?: string | undefined;
  b?: string | undefined;
}

export function playgroundSearch(raw: Record<string, unknown>): PlaygroundSearch {
  return { a: textParam(raw, "a"), b: textParam(raw, "b") };
}
