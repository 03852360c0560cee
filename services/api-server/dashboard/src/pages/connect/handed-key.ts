/** A new client key on its way to the snippets. It is in no address and in no storage. */

import { useEffect, useState } from "react";

let handed = "";

/** Hands a key to the page of the snippets, which is shown next. */
export function handKey(key: string): void {
  handed = key;
}

/** Keeps a key that is entered, beginning with the one that was handed over. It is forgotten with the page. */
export function useHandedKey(): [key: string, setKey: (key: string) => void] {
  const [key, setKey] = useState(() => handed);
  useEffect(
    () => () => {
      handed = "";
    },
    [],
  );
  return [key, setKey];
}
