/** The input of a replay: where it goes, how often, and what is changed. */

import { useQuery } from "@tanstack/react-query";
import { useCallback, useMemo } from "react";
import { modelsQuery, providersQuery } from "../../../api/queries";
import type { ReplayCommand, RequestDetail } from "../../../api/request";
import { dollars, plural } from "../../../format/numbers";
import { Button, Row } from "../../../parts/button";
import { ask } from "../../../parts/dialog";
import { useDraft } from "../../../parts/draft";
import { AreaField, SelectField, TextField } from "../../../parts/field";
import { RotateCw, Square } from "../../../parts/icons";
import { Card, Notice } from "../../../parts/layout";
import { type Body, costWords, MAX_TIMES, planOf, type ReplayInput } from "./plan";
import css from "./replay.module.css";

const MODEL_NAMES = "replay-models";

interface FormProps {
  request: RequestDetail;
  body: Body;
  edited: string;
  isWhole: boolean;
  isRunning: boolean;
  onStart: (command: ReplayCommand) => void;
  onStop: () => void;
}

export function ReplayForm({ request, body, edited, isWhole, isRunning, onStart, onStop }: FormProps) {
  const initial = useMemo((): ReplayInput => ({ provider: "", model: "", times: "1", body: edited }), [edited]);
  const { draft, setDraft, discard } = useDraft({
    name: `replay.${request.request_id}`,
    initial,
    kept: (draft) => (JSON.stringify(draft) === JSON.stringify(initial) ? null : draft),
  });
  const providers = useQuery(providersQuery).data ?? [];
  const models = useQuery(modelsQuery).data ?? [];
  const { command, mistakes } = useMemo(() => planOf(draft, body, isWhole), [draft, body, isWhole]);
  const times = command.times ?? 1;
  const isElsewhere = command.provider !== undefined || command.model !== undefined;
  const cost = costWords(request.cost_nanos, { times, isElsewhere }, dollars);
  const isWrong = Object.keys(mistakes).length > 0;
  const changed = Object.keys(command.changes ?? {});
  const set =
    <K extends keyof ReplayInput>(name: K) =>
    (value: string) =>
      setDraft({ ...draft, [name]: value });
  const start = useCallback(() => {
    if (isWrong || isRunning) return;
    if (times === 1) return onStart(command);
    ask({
      title: `Send it ${plural(times, "time")}?`,
      text: `The answers come one after the other. ${cost}`,
      action: "Send",
      run: async () => onStart(command),
    });
  }, [isWrong, isRunning, times, cost, command, onStart]);
  return (
    <Card title="Send it again">
      {/* biome-ignore lint/a11y/noStaticElementInteractions: a shortcut of its fields */}
      <div
        className={css.form}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) start();
        }}
      >
        <div className={css.target}>
          <SelectField
            label="Provider"
            value={draft.provider}
            onChange={set("provider")}
            options={[["", "As routed"], ...providers.map(({ id, name }): [string, string] => [id, name])]}
          />
          <TextField
            label="Model"
            mono
            list={MODEL_NAMES}
            placeholder={request.model}
            value={draft.model}
            onChange={set("model")}
          />
          <datalist id={MODEL_NAMES}>
            {models.map(({ id }) => (
              <option key={id} value={id} />
            ))}
          </datalist>
          <TextField
            label="Times"
            inputMode="numeric"
            value={draft.times}
            onChange={set("times")}
            mistakes={mistakes.times}
            hint={`1 to ${MAX_TIMES}, one after the other`}
          />
        </div>
        <details open={mistakes.body !== undefined || changed.length > 0 || undefined}>
          <summary>Change the body{changed.length > 0 && `: ${changed.join(", ")}`}</summary>
          <AreaField
            label={isWhole ? "Body" : "Fields to replace"}
            className="mono"
            rows={14}
            value={draft.body}
            onChange={set("body")}
            mistakes={mistakes.body}
            hint={
              isWhole
                ? "Without its model. Fields that are left out are not sent. `signalbox` chooses region, policy and deadlines."
                : "The body is too long to be edited here. Fields named here replace those of the original; `null` removes one."
            }
          />
        </details>
        <Notice>
          <strong>This asks a model.</strong> {cost} It is sent with the credentials of the console, and not with the
          key of the original, so that limits of that key do not apply.
        </Notice>
        <Row>
          <Button
            kind="primary"
            icon={RotateCw}
            pending={isRunning}
            title="Ctrl+Enter"
            disabledBecause={isWrong ? "Correct the input first" : undefined}
            onClick={start}
          >
            Replay
          </Button>
          {isRunning && (
            <Button icon={Square} onClick={onStop}>
              Stop
            </Button>
          )}
          {draft !== initial && (
            <Button kind="quiet" onClick={discard}>
              Undo changes
            </Button>
          )}
        </Row>
      </div>
    </Card>
  );
}
