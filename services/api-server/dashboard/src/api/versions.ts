/** Versions of what is edited, so that nobody overwrites what somebody else has changed. */

import type { Answer } from "./client";
import { data } from "./client";

/** What was read, with the version that it had; `null` if the server tells none. */
export type Versioned<T> = T & { readonly etag: string | null };

/** Returns the data of an answer with the version in its header. */
export async function versioned<T extends object>(answer: Promise<Answer<unknown>>): Promise<Versioned<T>> {
  let etag: string | null = null;
  const value = await data(
    answer.then((got) => {
      etag = got.response.headers.get("etag");
      return got as Answer<T>;
    }),
  );
  return { ...value, etag };
}

/** Returns the header that lets a change succeed only if the version is still the present one. */
export function ifMatch(etag: string | null | undefined): Record<string, string> {
  return etag ? { "if-match": etag } : {};
}
