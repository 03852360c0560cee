import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { count } from "../../format/numbers";
import { duration } from "../../format/time";
import { Button } from "../../parts/button";
import { CopyButton } from "../../parts/copy";
import { Square } from "../../parts/icons";
import { Failure } from "../../parts/layout";
import { Mark, type Tone } from "../../parts/mark";
import { Markdown } from "../../parts/markdown";
import { type Answer, figuresOf, isOver } from "./answer";
import css from "./playground.module.css";

const STATES: Record<Answer["state"], [Tone, string]> = {
  waiting: ["busy", "waiting"],
  streaming: ["busy", "answering"],
  done: ["ok", "done"],
  stopped: ["off", "stopped"],
  failed: ["bad", "failed"],
};

interface CardProps {
  model: string;
  answer: Answer;
  onStop: () => void;
}

export function AnswerCard({ model, answer, onStop }: CardProps) {
  const over = isOver(answer);
  const [tone, word] = STATES[answer.state];
  return (
    <section className={css.answer} aria-label={`Answer of ${model}`} aria-busy={!over}>
      <div className={css.answerHead}>
        <strong>{model}</strong>
        <span role="status">
          <Mark tone={tone}>{word}</Mark>
        </span>
        {over ? (
          answer.text !== "" && <CopyButton text={answer.text} label="Copy the answer" small />
        ) : (
          <Button small icon={Square} onClick={onStop}>
            Stop
          </Button>
        )}
      </div>
      {answer.thinking !== "" && (
        <details>
          <summary className="muted">Thinking</summary>
          <p className={css.thinking}>{answer.thinking}</p>
        </details>
      )}
      {over ? <Markdown text={answer.text} /> : <p className={css.live}>{answer.text}</p>}
      {answer.calls.map(({ name, input }, at) => (
        <div key={`${name} ${at}`}>
          Calls <code>{name}</code> <code>{input}</code>
        </div>
      ))}
      {answer.state === "done" && answer.text === "" && answer.calls.length === 0 && (
        <p className="muted">The answer is empty.</p>
      )}
      {answer.finish === "length" && <p className="muted">It ended at the maximum number of tokens.</p>}
      {answer.problem && <Failure title="No complete answer." error={answer.problem} />}
      <Figures answer={answer} />
    </section>
  );
}

function Figures({ answer }: { answer: Answer }) {
  const now = useNow(!isOver(answer));
  const { duration: passed, first, speed } = figuresOf(answer, now);
  return (
    <div className={css.figures}>
      <span>{duration(passed)}</span>
      <span>first token {duration(first)}</span>
      <span>
        {count(answer.tokens?.input)} in, {count(answer.tokens?.output)} out
      </span>
      {speed !== null && <span>{count(speed)} tokens/s</span>}
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
    const timer = setInterval(() => setNow(Date.now()), 200);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}
