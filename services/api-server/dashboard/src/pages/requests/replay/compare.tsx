/** Two answers to the same question beside each other: figures, text, and tool calls. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { conversationQuery } from "../../../api/bodies";
import type { RequestDetail } from "../../../api/request";
import { count, dollars } from "../../../format/numbers";
import { duration, UNKNOWN } from "../../../format/time";
import { Card, Empty, Failure, Loaded, Loading, Stack, Table } from "../../../parts/layout";
import type { Unit } from "../../../workers/diff";
import { isMissing } from "../conversation-tab";
import { statusWords } from "../status-mark";
import { CallDiff } from "./call-diff";
import { answerOf, isNothing, type LiveAnswer } from "./live-answer";
import { useLogged } from "./logged";
import css from "./replay.module.css";
import { TextDiff } from "./text-diff";

interface CompareProps {
  original: RequestDetail;
  /** Id of the other request. */
  other: string;
  unit: Unit | undefined;
}

export function Compare({ original, other, unit }: CompareProps) {
  const query = useLogged(other);
  if (query.isPending) return <Loading rows={6} />;
  return (
    <Loaded query={query} rows={6}>
      {(replay) => (
        <>
          <Card
            flush
            title="Side by side"
            actions={
              <Link to="/requests/$id" params={{ id: replay.request_id }}>
                Open the replay
              </Link>
            }
          >
            <Figures original={original} replay={replay} />
          </Card>
          {replay.status === "pending" || original.status === "pending" ? (
            <p className="muted">The answers are compared once both are complete.</p>
          ) : (
            <Answers original={original} replay={replay} unit={unit} />
          )}
        </>
      )}
    </Loaded>
  );
}

interface Figure {
  name: string;
  words: (request: RequestDetail) => string;
  value?: (request: RequestDetail) => number | null | undefined;
  unit?: (value: number) => string;
}

const FIGURES: Figure[] = [
  { name: "State", words: ({ status }) => statusWords(status) },
  { name: "Status", words: ({ status_code }) => (status_code == null ? UNKNOWN : String(status_code)) },
  { name: "Model", words: ({ model }) => model || UNKNOWN },
  { name: "Provider", words: ({ provider_id }) => provider_id ?? UNKNOWN },
  { name: "Attempts", words: ({ attempts }) => count(attempts) },
  {
    name: "First byte",
    words: (one) => duration(one.first_byte_ms),
    value: (one) => one.first_byte_ms,
    unit: duration,
  },
  { name: "Took", words: (one) => duration(one.duration_ms), value: (one) => one.duration_ms, unit: duration },
  { name: "Tokens in", words: (one) => count(one.prompt_tokens), value: (one) => one.prompt_tokens, unit: count },
  {
    name: "Tokens out",
    words: (one) => count(one.completion_tokens),
    value: (one) => one.completion_tokens,
    unit: count,
  },
  { name: "Cost", words: (one) => dollars(costOf(one)), value: costOf, unit: dollars },
  { name: "Ended by", words: ({ finish_reason }) => finish_reason ?? UNKNOWN },
];

function costOf({ cost_nanos }: RequestDetail): number | null {
  return cost_nanos == null ? null : cost_nanos / 1e9;
}

/** Returns how much more or less the second value is, such as `+120 ms (+8 %)`. */
export function differenceOf(
  before: number | null | undefined,
  after: number | null | undefined,
  unit: (value: number) => string,
): string {
  if (before == null || after == null) return "";
  if (before === after) return "same";
  const [sign, size] = after > before ? ["+", after - before] : ["−", before - after];
  const share = before === 0 ? "" : ` (${sign}${Math.round((size / before) * 100)} %)`;
  return `${sign}${unit(size)}${share}`;
}

function Figures({ original, replay }: { original: RequestDetail; replay: RequestDetail }) {
  return (
    <Table
      label="Figures of both"
      head={
        <>
          <th>Figure</th>
          <th>Original</th>
          <th>Replay</th>
          <th>Difference</th>
        </>
      }
    >
      {FIGURES.map(({ name, words, value, unit }) => (
        <tr key={name}>
          <th scope="row" className={css.figure}>
            {name}
          </th>
          <td className="break" data-label="Original">
            {words(original)}
          </td>
          <td className="break" data-label="Replay">
            {words(replay)}
          </td>
          <td data-label="Difference">
            {value && unit
              ? differenceOf(value(original), value(replay), unit)
              : words(original) === words(replay)
                ? "same"
                : "differs"}
          </td>
        </tr>
      ))}
    </Table>
  );
}

function useAnswer({ request_id, status, response_bytes }: RequestDetail) {
  return useQuery({ ...conversationQuery(request_id, "answered", status), enabled: response_bytes != null });
}

function isWithout({ response_bytes }: RequestDetail, query: { error: unknown }): boolean {
  return response_bytes == null || isMissing(query);
}

function Answers({
  original,
  replay,
  unit,
}: {
  original: RequestDetail;
  replay: RequestDetail;
  unit: Unit | undefined;
}) {
  const before = useAnswer(original);
  const after = useAnswer(replay);
  const missing = [isWithout(original, before) && "original", isWithout(replay, after) && "replay"].filter(Boolean);
  if (missing.length > 0)
    return (
      <Empty title="The answers cannot be compared">
        There is no logged answer of the {missing.join(" and the ")}. It was not kept, or it was an error.
      </Empty>
    );
  const failed = [before, after].find(({ error }) => error != null);
  if (failed)
    return (
      <Failure title="The answers could not be loaded." error={failed.error} retry={() => void failed.refetch()} />
    );
  if (before.data === undefined || after.data === undefined) return <Loading rows={6} />;
  if (before.data.conversation === null || after.data.conversation === null)
    return <Empty title="The answers are too large to be compared" />;
  return (
    <Both
      before={answerOf(before.data.conversation.messages)}
      after={answerOf(after.data.conversation.messages)}
      unit={unit}
    />
  );
}

function Both({ before, after, unit }: { before: LiveAnswer; after: LiveAnswer; unit: Unit | undefined }) {
  if (isNothing(before) && isNothing(after)) return <Empty title="Both answers are empty" />;
  return (
    <Stack>
      {(before.calls.length > 0 || after.calls.length > 0) && <CallDiff before={before.calls} after={after.calls} />}
      {(before.text !== "" || after.text !== "") && (
        <TextDiff title="Text" before={before.text} after={after.text} unit={unit} />
      )}
      {(before.thinking !== "" || after.thinking !== "") && (
        <details>
          <summary>Thinking</summary>
          <TextDiff title="Thinking" before={before.thinking} after={after.thinking} unit={unit} />
        </details>
      )}
    </Stack>
  );
}
