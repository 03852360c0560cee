/** The questions and answers of the conversation. */

import { plural } from "../../format/numbers";
import { useBase } from "../connect/base";
import { asCurl } from "../requests/curl";
import { isOver } from "./answer";
import { AnswerCard } from "./answer-card";
import { bodyFor, isShared, type Question, SIDES, type Side, shownAnswer, type Turn } from "./chat";
import css from "./playground.module.css";
import { sendAgain, showRun, stop, takeBack, usePlayground } from "./store";
import { useStickToEnd } from "./use-stick";

export function Turns() {
  const turns = usePlayground((state) => state.turns);
  useStickToEnd(turns, turns.length);
  const lastOf = (side: Side) => turns.findLast((turn) => turn.asked[side] !== undefined);
  const last = { a: lastOf("a"), b: lastOf("b") };
  return turns.map((turn, at) => (
    <TurnView
      key={turn.id}
      turn={turn}
      isLast={{ a: turn === last.a, b: turn === last.b }}
      isNewest={at === turns.length - 1}
    />
  ));
}

interface TurnProps {
  turn: Turn;
  isLast: Record<Side, boolean>;
  isNewest: boolean;
}

function TurnView({ turn, isLast, isNewest }: TurnProps) {
  const base = useBase();
  const shared = isShared(turn);
  const question = turn.asked.a ?? turn.asked.b;
  const asCommand = (side: Side) => () => {
    const { before, turns } = usePlayground.getState();
    const until = turns.slice(0, turns.findIndex((one) => one.id === turn.id) + 1);
    const body = bodyFor(shownAnswer(turn, side)?.model ?? "", before, until, side);
    return asCurl(
      base,
      { request_id: "playground", method: "POST", path: "/v1/chat/completions" },
      JSON.stringify(body),
    );
  };
  const idle = SIDES.every((side) => turn.answers[side]?.every(isOver) ?? true);
  return (
    <div className={css.turn}>
      {shared && question && <Asked question={question} />}
      <div className={css.sides}>
        {SIDES.map((side) => {
          const answers = turn.answers[side];
          const asked = turn.asked[side];
          if (!answers || !asked) return null;
          return (
            <div key={side} className={css.sideColumn}>
              {!shared && <Asked question={asked} />}
              <AnswerCard
                answers={answers}
                shown={turn.shown[side] ?? 0}
                onShow={(run) => showRun(turn.id, side, run)}
                onStop={() => stop(turn.id, side)}
                onAgain={isLast[side] ? () => sendAgain(turn.id, side) : undefined}
                onEdit={isNewest && idle ? () => takeBack(turn.id) : undefined}
                curl={asCommand(side)}
              />
            </div>
          );
        })}
      </div>
    </div>
  );
}

function Asked({ question: { text, images, lost = 0 } }: { question: Question }) {
  return (
    <div className={css.question}>
      {text}
      {images.length > 0 && (
        <div className={css.pictures}>
          {images.map((url, at) =>
            url.startsWith("data:image/") ? (
              <img key={at} src={url} alt={`Attachment ${at + 1}`} />
            ) : (
              // Fetching it would tell its server that the conversation is being read.
              <span key={at} className="muted break">
                image at {url}
              </span>
            ),
          )}
        </div>
      )}
      {lost > 0 && <p className="muted">with {plural(lost, "image")}, which went with the reload of the page</p>}
    </div>
  );
}
