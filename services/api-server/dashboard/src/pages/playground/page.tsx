import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { modelsQuery, statusQuery } from "../../api/queries";
import { phase } from "../../lifecycle/reducer";
import { useServices } from "../../lifecycle/store";
import { Button, IconButton } from "../../parts/button";
import { AreaField, TextField } from "../../parts/field";
import { Plus, X } from "../../parts/icons";
import { Card, Empty, Notice, Page } from "../../parts/layout";
import { AnswerCard } from "./answer-card";
import { type Fields, fieldsOf, NO_PARAMETERS, type Parameters, SIDES } from "./chat";
import { Composer } from "./composer";
import css from "./playground.module.css";
import { useChat } from "./use-chat";

const route = getRouteApi("/playground");

export default function Playground() {
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/playground" });
  const [parameters, setParameters] = useState(NO_PARAMETERS);
  const { turns, busy, ask, stop, clear } = useChat();
  useQuery(statusQuery);
  const router = useServices((state) => state["provider-router"]);
  // What is being typed may be empty, which an address cannot say.
  const [chosen, setChosen] = useState({ a: search.a ?? "echo", b: search.b });
  const { a, b } = chosen;
  const models = b === undefined ? { a: a.trim() } : { a: a.trim(), b: b.trim() };
  const { fields, mistakes } = fieldsOf(parameters);
  const choose = (change: Partial<Chosen>) => {
    const next = { ...chosen, ...change };
    setChosen(next);
    void navigate({ search: { a: next.a || undefined, b: next.b || undefined }, replace: true });
  };
  const away = router.status !== null && phase(router) !== "running";
  const reason = away
    ? "The router does not run"
    : busy
      ? "Wait for the answer, or stop it"
      : Object.values(models).includes("")
        ? "Choose a model"
        : [...mistakes.values()][0];
  return (
    <Page
      title="Playground"
      about="Sends messages to one or two models. Each is a request like that of any client, and is in the log."
      actions={turns.length > 0 && <Button onClick={clear}>Clear the conversation</Button>}
    >
      {away && (
        <Notice tone="warn" action={<Link to="/">Go to the overview</Link>}>
          The router does not run, so that nothing can be sent. Start it on the overview.
        </Notice>
      )}
      <Card>
        <Models a={a} b={b} onChoose={choose} />
        <ParameterFields given={parameters} mistakes={mistakes} onChange={setParameters} />
      </Card>
      {turns.length === 0 && (
        <Empty title="Nothing was sent yet">
          The conversation stays in this tab until it is cleared or closed. The model <code>echo</code> repeats what you
          say, and needs no key.
        </Empty>
      )}
      {turns.map((turn) => (
        <div key={turn.id} className={css.turn}>
          <p className={css.question}>
            {turn.text}
            {turn.images.length > 0 && <span className="muted"> with {turn.images.length} images</span>}
          </p>
          <div className={css.sides}>
            {SIDES.map((side) => {
              const answer = turn.answers[side];
              return answer && <AnswerCard key={side} model={answer.model} answer={answer} onStop={() => stop(side)} />;
            })}
          </div>
        </div>
      ))}
      <Composer
        disabledBecause={reason}
        onSend={(text, images) => ask({ text, images, models, system: parameters.system, fields })}
      />
    </Page>
  );
}

/** Names of the models; the second one is absent while only one is asked. */
interface Chosen {
  a: string;
  b: string | undefined;
}

interface ModelsProps extends Chosen {
  onChoose: (change: Partial<Chosen>) => void;
}

const NAMES = "playground-models";

function Models({ a, b, onChoose }: ModelsProps) {
  const { data } = useQuery(modelsQuery);
  return (
    <div className={css.models}>
      <datalist id={NAMES}>
        {data?.map(({ id }) => (
          <option key={id} value={id} />
        ))}
      </datalist>
      <TextField label="Model" mono list={NAMES} value={a} onChange={(model) => onChoose({ a: model })} />
      {b === undefined ? (
        <div>
          <Button icon={Plus} onClick={() => onChoose({ b: a })}>
            Compare with another model
          </Button>
        </div>
      ) : (
        <div className={css.joined}>
          <TextField label="Model beside it" mono list={NAMES} value={b} onChange={(model) => onChoose({ b: model })} />
          <IconButton icon={X} label="Stop comparing" onClick={() => onChoose({ b: undefined })} />
        </div>
      )}
    </div>
  );
}

interface ParameterProps {
  given: Parameters;
  mistakes: Fields["mistakes"];
  onChange: (given: Parameters) => void;
}

function ParameterFields({ given, mistakes, onChange }: ParameterProps) {
  const of = (name: keyof Parameters) => {
    const mistake = mistakes.get(name);
    return {
      value: given[name],
      mistakes: mistake === undefined ? undefined : [mistake],
      onChange: (value: string) => onChange({ ...given, [name]: value }),
    };
  };
  return (
    <details style={{ marginTop: 12 }}>
      <summary>System prompt and parameters</summary>
      <div className={css.parameters}>
        <div className={css.wide}>
          <AreaField label="System prompt" rows={2} {...of("system")} />
        </div>
        <TextField label="Temperature" inputMode="decimal" placeholder="not sent" {...of("temperature")} />
        <TextField label="Top p" inputMode="decimal" placeholder="not sent" {...of("topP")} />
        <TextField label="Maximum tokens" inputMode="numeric" placeholder="not sent" {...of("maxTokens")} />
        <div className={css.wide}>
          <AreaField
            label="Further fields"
            className="mono"
            rows={3}
            placeholder='{"seed": 1, "response_format": {"type": "json_object"}}'
            hint="A JSON object, such as `tools` or a JSON schema. It is added to the request."
            {...of("more")}
          />
        </div>
      </div>
    </details>
  );
}
