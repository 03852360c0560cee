/** A message on the real way through the router, and what came back. */

import { Link } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { duration } from "../../format/time";
import { Button, Row } from "../../parts/button";
import { Select } from "../../parts/field";
import { Send, Square } from "../../parts/icons";
import { Failure } from "../../parts/layout";
import { Mark } from "../../parts/mark";
import { QUESTION } from "../connect/curl";
import { type Answer, figuresOf, isOver } from "../playground/answer";
import { askModel } from "../playground/ask";
import { STATES } from "../playground/states";
import { existing, firstName, namesOf, useNames } from "../playground/use-models";
import css from "./overview.module.css";

/** Characters of an answer that are shown. */
const SHOWN = 600;

export function TestMessage({ preferred }: { preferred: string | undefined }) {
  const names = useNames();
  const [chosen, setChosen] = useState<string>();
  const [answer, setAnswer] = useState<Answer | null>(null);
  const running = useRef<AbortController | null>(null);
  // Stops an answer that is no longer shown, so that it costs nothing more.
  useEffect(() => () => running.current?.abort(), []);
  if (names === null) return null;
  const known = namesOf(names);
  const model = existing({ a: chosen ?? preferred }, names).a ?? firstName(names) ?? "echo";
  const send = () => {
    const stop = new AbortController();
    running.current = stop;
    const body = {
      model,
      messages: [{ role: "user", content: QUESTION }],
      stream: true,
      stream_options: { include_usage: true },
    };
    void askModel(body, stop.signal, (report) => {
      if (running.current === stop) setAnswer(report);
    });
  };
  const isOpen = answer !== null && !isOver(answer);
  return (
    <>
      <Row>
        <Select
          aria-label="Model to ask"
          value={model}
          onChange={setChosen}
          options={known.includes(model) ? known : [model, ...known]}
        />
        <Button kind="primary" icon={Send} pending={isOpen} onClick={send}>
          {answer === null ? "Send a test message" : "Send it again"}
        </Button>
        {isOpen && (
          <Button icon={Square} onClick={() => running.current?.abort()}>
            Stop
          </Button>
        )}
      </Row>
      {answer && <Outcome answer={answer} />}
    </>
  );
}

function Outcome({ answer }: { answer: Answer }) {
  const [tone, word] = STATES[answer.state];
  const { duration: took, first } = figuresOf(answer, Date.now());
  const text = answer.text || answer.thinking;
  return (
    <div className={css.outcome}>
      <span role="status">
        <Mark tone={tone}>{word}</Mark>
      </span>
      {isOver(answer) && (
        <span className="muted">
          {" "}
          after {duration(took)}
          {first !== null && `, first token after ${duration(first)}`}{" "}
        </span>
      )}
      {answer.logId && isOver(answer) && (
        <Link to="/requests/$id" params={{ id: answer.logId }}>
          In the log
        </Link>
      )}
      <p>
        <span className="muted">You:</span> {QUESTION}
      </p>
      {text !== "" && (
        <p>
          <span className="muted">{answer.model}:</span> {text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text}
        </p>
      )}
      {answer.state === "done" && text === "" && <p className="muted">The answer is empty.</p>}
      {answer.problem && <Failure title="No answer." error={answer.problem} />}
      {answer.problem && (
        <p>
          <Link to="/providers">Test the provider</Link>, or choose another model.
        </p>
      )}
    </div>
  );
}
