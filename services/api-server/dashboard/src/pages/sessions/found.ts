/** Sessions of the requests that a search has found. Pure. */

export interface FoundSession {
  id: string;
  /** Requests that match. */
  requests: number;
  models: string[];
  /** Arrival of the newest of them. */
  newest: number;
}

interface Found {
  session_id: string;
  model: string;
  timestamp: number;
}

/** Returns the sessions, in the order of their newest request that matches. */
export function sessionsOf(found: readonly Found[]): FoundSession[] {
  const sessions = new Map<string, FoundSession>();
  for (const { session_id, model, timestamp } of found) {
    const known = sessions.get(session_id) ?? { id: session_id, requests: 0, models: [], newest: timestamp };
    known.requests += 1;
    known.newest = Math.max(known.newest, timestamp);
    if (!known.models.includes(model)) known.models.push(model);
    sessions.set(session_id, known);
  }
  return [...sessions.values()].sort((a, b) => b.newest - a.newest);
}
