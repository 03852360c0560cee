/** Reading of turns in a worker, which ends with the page that began it. */

import { trusted } from "./start";
import type { Turn, TurnToRead } from "./turns";
import turnsUrl from "./turns.worker?worker&url";

interface Answer {
  id: number;
  turn?: Turn;
  error?: string;
}

export interface Turns {
  read: (turn: TurnToRead) => Promise<Turn>;
  end: () => void;
}

export function startTurns(): Turns {
  const worker = new Worker(trusted(turnsUrl), { type: "module" });
  const waiting = new Map<number, { resolve: (turn: Turn) => void; reject: (error: Error) => void }>();
  let last = 0;
  const failed = (message: string) => {
    for (const { reject } of waiting.values()) reject(new Error(message));
    waiting.clear();
  };
  worker.onmessage = ({ data: { id, turn, error } }: MessageEvent<Answer>) => {
    const one = waiting.get(id);
    waiting.delete(id);
    if (turn) one?.resolve(turn);
    else one?.reject(new Error(error ?? "The turn could not be read."));
  };
  worker.onerror = (event) => failed(event.message || "The turn could not be read.");
  return {
    read: (turn) =>
      new Promise((resolve, reject) => {
        last += 1;
        waiting.set(last, { resolve, reject });
        worker.postMessage({ id: last, turn });
      }),
    end: () => {
      worker.terminate();
      failed("The page was left.");
    },
  };
}
