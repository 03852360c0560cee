import { Mark, type Tone } from "../../parts/mark";

const MARKS: Record<string, [Tone, string]> = {
  pending: ["busy", "pending"],
  completed: ["ok", "completed"],
  failed: ["bad", "failed"],
  truncated: ["warn", "truncated"],
  cancelled: ["off", "cancelled"],
  client_disconnected: ["off", "client left"],
  interrupted: ["warn", "interrupted"],
};

/** Returns the words for a status. */
export function statusWords(status: string): string {
  return MARKS[status]?.[1] ?? status;
}

export function StatusMark({ status }: { status: string }) {
  return <Mark tone={MARKS[status]?.[0] ?? "off"}>{statusWords(status)}</Mark>;
}
