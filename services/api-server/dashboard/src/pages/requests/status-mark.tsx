import { Mark, type Tone } from "../../parts/mark";
import { statusWords } from "./status-words";

const TONES: Record<string, Tone> = {
  pending: "busy",
  completed: "ok",
  failed: "bad",
  truncated: "warn",
  interrupted: "warn",
};

export { statusWords } from "./status-words";

export function StatusMark({ status }: { status: string }) {
  return <Mark tone={TONES[status] ?? "off"}>{statusWords(status)}</Mark>;
}
