import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { count } from "../../format/numbers";
import { duration } from "../../format/time";
import { Button, Row } from "../../parts/button";
import { CopyButton } from "../../parts/copy";
import { Pencil, RotateCw, Square } from "../../parts/icons";
import { Failure } from "../../parts/layout";
import { Mark } from "../../parts/mark";
import { Markdown } from "../../parts/markdown";
import { type Answer, figuresOf, isOver } from "./answer";
import { Billed } from "./billed";
import { blocksOf } from "./blocks";
import css from "./playground.module.css";
import { Runs } from "./runs";
import { STATES } from "./states";

interface CardProps {
  /** The answers to one question: several if it was asked several times at once. */
  answers: Answer[];
  shown: number;
  onShow: (run: number) => void;
  onStop: () => void;
  /** Asks once more; absent if the conversation has gone on. */
  onAgain?: (() => void) | undefined;
  /** Takes the question back into the input. */
  onEdit?: (() => void) | undefined;
  curl: () => string;
}

export function AnswerCard({ answers, shown, onShow, onStop, onAgain, onEdit, curl }: CardProps) {
  const answer = answers[shown] ?? answers[0];
  if (answer === undefined) return null;
  const over = isOver(answer);
  const [tone, word] = STATES[answer.state];
  const failed = answer.state === "failed" || answer.state === "stopped";
  return (
    <section className={css.answer} aria-label={`Answer of ${answer.model}`} aria-busy={!over}>
      <div className={css.answerHead}>
        <strong>{answer.model}</strong>
        <span role="status">
          <Mark tone={tone}>{word}</Mark>
        </span>
        {over && answer.text !== "" && <CopyButton text={answer.text} label="Copy the answer" small />}
        {answers.every(isOver) ? (
          <CopyButton text={curl} label="Copy as curl" worded small />
        ) : (
          <Button small icon={Square} onClick={onStop}>
            Stop
          </Button>
        )}
      </div>
      {answers.length > 1 && <Runs answers={answers} shown={shown} onShow={onShow} />}
      {answer.thinking !== "" && (
        <details>
          <summary className="muted">Thinking</summary>
          <p className={css.thinking}>{answer.thinking}</p>
        </details>
      )}
      {over ? <Markdown text={answer.text} /> : <Arriving text={answer.text} />}
      {answer.calls.map(({ name, input }, at) => (
        <div key={`${name} ${at}`}>
          Calls <code>{name}</code> <code className="break">{input}</code>
        </div>
      ))}
      {answer.state === "done" && answer.text === "" && answer.calls.length === 0 && (
        <p className="muted">The answer is empty.</p>
      )}
      {answer.finish === "length" && <p className="muted">It ended at the maximum number of tokens.</p>}
      {answer.problem && <Failure title="No complete answer." error={answer.problem} />}
      {answer.problem && <Reason problem={answer.problem} />}
      {failed && onAgain && (
        <Row>
          <Button small icon={RotateCw} onClick={onAgain}>
            Send again
          </Button>
          {onEdit && (
            <Button small icon={Pencil} onClick={onEdit}>
              Edit the message
            </Button>
          )}
        </Row>
      )}
      <Figures answer={answer} />
    </section>
  );
}

/** Blocks that are complete are not read again with each word. */
function Arriving({ text }: { text: string }) {
  const { settled, rest } = blocksOf(text);
  return (
    <>
      {settled.map((block, at) => (
        <Markdown key={at} text={block} />
      ))}
      <p className={css.live}>{rest}</p>
    </>
  );
}

/** Status and code of a refusal, by which it is found in manuals. */
function Reason({ problem }: { problem: NonNullable<Answer["problem"]> }) {
  const { status, code } = problem.details;
  if (status === null || status < 400) return null;
  return (
    <p className="muted">
      Status {status}
      {code && (
        <>
          , code <code>{code}</code>
        </>
      )}
    </p>
  );
}

function Figures({ answer }: { answer: Answer }) {
  const running = !isOver(answer) && answer.state !== "queued";
  const now = useNow(running);
  const { duration: passed, first, speed } = figuresOf(answer, now);
  const counted = answer.tokens !== null;
  return (
    <div className={css.figures}>
      {answer.state !== "queued" && <span>{duration(passed)}</span>}
      {first !== null && <span>first token {duration(first)}</span>}
      {counted && (
        <span>
          {count(answer.tokens?.input)} in, {count(answer.tokens?.output)} out
        </span>
      )}
      {speed !== null && <span>{count(speed)} tokens/s</span>}
      {answer.logId && isOver(answer) && <Billed logId={answer.logId} stopped={answer.state === "stopped"} />}
      {answer.logId && (
        <Link to="/requests/$id" params={{ id: answer.logId }}>
          In the log
        </Link>
      )}
    </div>
  );
}

/** Returns the time, several times a second while `running`. */
function useNow(running: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!running) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 200);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}
