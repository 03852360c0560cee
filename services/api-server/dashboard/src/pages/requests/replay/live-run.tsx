/** A replay while its answer arrives, and how it has ended. */

import { Link } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { count } from "../../../format/numbers";
import { duration } from "../../../format/time";
import { Button, Row } from "../../../parts/button";
import { Square } from "../../../parts/icons";
import { Card, Failure, Stack } from "../../../parts/layout";
import { Mark, type Tone } from "../../../parts/mark";
import { isNothing } from "./live-answer";
import css from "./replay.module.css";
import type { Run } from "./run";

const STATES: Record<Run["state"], [Tone, string]> = {
  waiting: ["busy", "waiting"],
  answering: ["busy", "answering"],
  done: ["ok", "done"],
  stopped: ["off", "stopped"],
  failed: ["bad", "failed"],
};

export function LiveRun({ run, onStop }: { run: Run; onStop: () => void }) {
  const { answer, problem, logId, endedAt, startedAt } = run;
  const now = useNow(endedAt === null);
  const [tone, word] = STATES[run.state];
  const place = useRef<HTMLDivElement>(null);
  // What was asked for is below the form.
  // biome-ignore lint/correctness/useExhaustiveDependencies: once for each run
  useEffect(() => {
    place.current?.scrollIntoView({ block: "start" });
  }, [startedAt]);
  return (
    <div ref={place} className={css.run}>
      <Card
        title="The new answer"
        actions={
          <>
            <span role="status">
              <Mark tone={tone}>{word}</Mark>
            </span>
            <span className="muted">{duration((endedAt ?? now) - startedAt)}</span>
            {logId && (
              <Link to="/requests/$id" params={{ id: logId }}>
                In the log
              </Link>
            )}
            {endedAt === null && (
              <Button small icon={Square} onClick={onStop}>
                Stop
              </Button>
            )}
          </>
        }
      >
        <Stack>
          {problem && <Failure title="No complete answer." error={problem} />}
          {run.state === "stopped" && <p className="muted">The request was cancelled at the provider.</p>}
          {/* Once it is complete, it is shown beside the original. */}
          {run.state !== "done" && !isNothing(answer) && (
            <div aria-live="off">
              {answer.thinking !== "" && answer.text === "" && <p className="muted">Thinking…</p>}
              <div className={css.live}>{answer.text}</div>
              {answer.calls.map(({ name, input }, at) => (
                <Row key={`${name} ${at}`}>
                  Calls <code>{name}</code> <code className="break">{input}</code>
                </Row>
              ))}
            </div>
          )}
          {run.state === "done" && run.outcomes === null && isNothing(answer) && (
            <p className="muted">The answer is empty.</p>
          )}
          {run.outcomes && (
            <p>
              {count(run.outcomes.filter(({ complete, status_code }) => complete && (status_code ?? 500) < 400).length)}{" "}
              of {count(run.outcomes.length)} answered
              {run.outcomes.at(-1)?.error && `; then: ${run.outcomes.at(-1)?.error}`}.{" "}
              {timesOf(run.outcomes.map((one) => one.duration_ms))}
            </p>
          )}
        </Stack>
      </Card>
    </div>
  );
}

/** Returns the shortest, the middle and the longest time in words. */
export function timesOf(times: number[]): string {
  if (times.length === 0) return "";
  const sorted = times.toSorted((a, b) => a - b);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  return `Shortest ${duration(sorted[0])}, median ${duration(middle)}, longest ${duration(sorted.at(-1))}.`;
}

/** Returns the time, several times a second while `running`. */
function useNow(running: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => setNow(Date.now()), 200);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}
