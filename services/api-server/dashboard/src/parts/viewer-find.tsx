/** Finding in a text that a worker reads. */

import { useEffect, useState } from "react";
import { count } from "../format/numbers";
import { MAX_FOUND } from "../workers/lines";
import type { RemoteReader } from "../workers/start";
import { IconButton } from "./button";
import { ArrowDown, ArrowUp } from "./icons";

/** Milliseconds after the last key before a text is looked for. */
const PAUSE = 120;

export interface Find {
  wanted: string;
  setWanted: (wanted: string) => void;
  /** Lines that have it; `null` until the worker has answered. */
  found: number[] | null;
  current: number;
  /** The line that is shown. */
  hit: number | undefined;
  step: (by: 1 | -1) => void;
}

/** Looks for a text, and calls `show` with the line of each hit that is gone to. */
export function useFind(reader: RemoteReader, pretty: boolean, show: (line: number) => void): Find {
  const [wanted, setWanted] = useState("");
  const [found, setFound] = useState<number[] | null>(null);
  const [current, setCurrent] = useState(0);
  const [isAtFirst, setAtFirst] = useState(true);
  useEffect(() => {
    let isCurrent = true;
    setFound(null);
    setCurrent(0);
    setAtFirst(true);
    if (wanted === "") return;
    const timer = setTimeout(() => {
      reader.call("find", { pretty, wanted }).then(
        (lines) => isCurrent && setFound(lines),
        () => isCurrent && setFound([]),
      );
    }, PAUSE);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [reader, pretty, wanted]);
  const step = (by: 1 | -1) => {
    if (!found || found.length === 0) return;
    // The first hit is counted, but not yet gone to.
    const next = by === 1 && isAtFirst ? current : (current + by + found.length) % found.length;
    setAtFirst(false);
    setCurrent(next);
    show(found[next]!);
  };
  return { wanted, setWanted, found, current, hit: found?.[current], step };
}

export function FindField({ label, find }: { label: string; find: Find }) {
  const { wanted, setWanted, found, current, step } = find;
  const disabledBecause = found?.length ? undefined : "Nothing found";
  return (
    <>
      <input
        type="search"
        aria-label={`Find in ${label}`}
        placeholder="Find"
        data-shortcut="/"
        value={wanted}
        onChange={(event) => setWanted(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
        }}
      />
      {wanted !== "" && (
        <>
          <span role="status">{found === null ? "searching" : outcome(current, found.length)}</span>
          <IconButton
            small
            icon={ArrowUp}
            label="Previous"
            disabledBecause={disabledBecause}
            onClick={() => step(-1)}
          />
          <IconButton small icon={ArrowDown} label="Next" disabledBecause={disabledBecause} onClick={() => step(1)} />
        </>
      )}
    </>
  );
}

function outcome(current: number, found: number): string {
  if (found === 0) return "nothing found";
  return `${count(current + 1)} of ${count(found)}${found === MAX_FOUND ? " or more" : ""}`;
}
