/** The same request several times: how long each took. */

import { Link } from "@tanstack/react-router";
import { plural } from "../../format/numbers";
import { duration, UNKNOWN } from "../../format/time";
import { Button } from "../../parts/button";
import { Mark } from "../../parts/mark";
import { type Answer, figuresOf, isOver, type Spread, spreadOf } from "./answer";
import css from "./playground.module.css";
import { STATES } from "./states";

interface RunsProps {
  answers: Answer[];
  shown: number;
  onShow: (run: number) => void;
}

export function Runs({ answers, shown, onShow }: RunsProps) {
  const over = answers.filter(isOver);
  const done = answers.filter(({ state }) => state === "done").map((answer) => figuresOf(answer, 0));
  const failed = answers.filter(({ state }) => state === "failed").length;
  return (
    <details className={css.runs} open>
      <summary>
        {over.length === answers.length ? plural(answers.length, "answer") : `${over.length} of ${answers.length}`}
        {failed > 0 && `, ${failed} failed`}
        {done.length > 0 && `; took ${spread(spreadOf(done.map((one) => one.duration)))}`}
      </summary>
      <div className={css.runsBox}>
        <table>
          <caption className="visually-hidden">Times of each answer</caption>
          <thead>
            <tr>
              <th>Answer</th>
              <th>State</th>
              <th className="numeric">First token</th>
              <th className="numeric">Took</th>
              <th>
                <span className="visually-hidden">Log</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {answers.map((answer, run) => {
              const [tone, word] = STATES[answer.state];
              const { first, duration: took } = figuresOf(answer, 0);
              return (
                <tr key={run}>
                  <td>
                    <Button
                      small
                      kind="quiet"
                      aria-pressed={run === shown}
                      onClick={() => onShow(run)}
                      title="Show this answer, and go on with it"
                    >
                      {run + 1}
                      {run === shown && ", shown"}
                    </Button>
                  </td>
                  <td>
                    <Mark tone={tone}>{word}</Mark>
                  </td>
                  <td className="numeric">{duration(first)}</td>
                  <td className="numeric">{isOver(answer) ? duration(took) : UNKNOWN}</td>
                  <td>
                    {answer.logId && (
                      <Link
                        to="/requests/$id"
                        params={{ id: answer.logId }}
                        aria-label={`Answer ${run + 1} in the log`}
                      >
                        log
                      </Link>
                    )}
                  </td>
                </tr>
              );
            })}
          </tbody>
          <tfoot>
            <tr>
              <th colSpan={2}>Median</th>
              <td className="numeric">{duration(spreadOf(done.map((one) => one.first))?.median)}</td>
              <td className="numeric">{duration(spreadOf(done.map((one) => one.duration))?.median)}</td>
              <td />
            </tr>
          </tfoot>
        </table>
      </div>
    </details>
  );
}

function spread(found: Spread | null): string {
  return found === null ? UNKNOWN : `${duration(found.least)} to ${duration(found.most)}`;
}
