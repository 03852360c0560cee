/** The state of the connection for live events. */

import { create } from "zustand";
import { useSession } from "../app/session";

interface Connection {
  connected: boolean;
  /** When the connection was lost; `null` while it stands or was never there. */
  lostAt: number | null;
  /** Whether it has been lost for so long that it is shown. */
  away: boolean;
  attempts: number;
  extension: boolean;
  /** Requests that arrived since the list was last shown at its top. */
  news: number;
}

export const useConnection = create<Connection>(() => ({
  connected: false,
  lostAt: null,
  away: false,
  attempts: 0,
  extension: false,
  news: 0,
}));

/** Returns why nothing can be sent to the server; `undefined` while something can, and while the token is asked for. */
export function useAway(): string | undefined {
  const away = useConnection((state) => state.away);
  const needed = useSession((state) => state.needed);
  return away && !needed ? "The server does not answer" : undefined;
}
