/** One request without its bodies, and these where they are short. */

import { queryOptions } from "@tanstack/react-query";
import { api, data, type Schemas, send } from "./client";
import { asProblem } from "./problem";

/** Maximum bytes of a body that is shown beside a list. */
const MAX_BYTES = 256 * 1024;

export interface Peeked {
  row: Schemas["ShortDetail"];
  /** The bodies; `null` if they are not kept, not JSON or too long. */
  asked: unknown;
  answered: unknown;
}

export const peekQuery = (id: string) =>
  queryOptions({
    queryKey: ["requests", "peek", id],
    queryFn: async ({ signal }): Promise<Peeked> => {
      const params = { path: { id }, query: { view: "short" } };
      const row = (await data(api.GET("/api/requests/{id}", { params, signal }))) as Schemas["ShortDetail"];
      const [asked, answered] = await Promise.all([
        bodyOf(id, "asked", row.request_bytes, signal),
        bodyOf(id, "answered", row.response_bytes, signal),
      ]);
      return { row, asked, answered };
    },
  });

async function bodyOf(
  id: string,
  kind: string,
  size: number | null | undefined,
  signal: AbortSignal,
): Promise<unknown> {
  if (size == null || size > MAX_BYTES) return null;
  try {
    return await (await send(`/api/requests/${encodeURIComponent(id)}/body/${kind}`, { signal })).json();
  } catch (error) {
    // Not JSON, or not kept.
    if (error instanceof SyntaxError || asProblem(error).isNotFound) return null;
    throw error;
  }
}
