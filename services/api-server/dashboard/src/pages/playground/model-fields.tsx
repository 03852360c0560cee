import { Button, IconButton } from "../../parts/button";
import { Switch, TextField } from "../../parts/field";
import { Plus, X } from "../../parts/icons";
import css from "./playground.module.css";
import { usePlayground } from "./store";
import { isKnown, namesOf, type useNames } from "./use-models";

/** Names of the models; the second one is absent while only one is asked. */
export interface Chosen {
  a: string;
  b: string | undefined;
}

interface ModelsProps extends Chosen {
  names: ReturnType<typeof useNames>;
  onChoose: (change: Partial<Chosen>) => void;
}

const NAMES = "playground-models";

export function ModelFields({ a, b, names, onChoose }: ModelsProps) {
  const apart = usePlayground((state) => state.apart);
  const hint = (name: string) =>
    names === null || name.trim() === "" || isKnown(name.trim(), names)
      ? undefined
      : "No model or route that is configured has this name.";
  return (
    <div className={css.models}>
      <datalist id={NAMES}>
        {names !== null && namesOf(names).map((name) => <option key={name} value={name} />)}
      </datalist>
      <TextField
        label="Model"
        mono
        list={NAMES}
        value={a}
        hint={hint(a)}
        placeholder={names === null ? "…" : "name of a model or a route"}
        onChange={(model) => onChoose({ a: model })}
      />
      {b === undefined ? (
        <div className={css.beside}>
          <Button icon={Plus} onClick={() => onChoose({ b: a })}>
            Compare with another model
          </Button>
        </div>
      ) : (
        <>
          <div className={css.joined}>
            <TextField
              label="Model beside it"
              mono
              list={NAMES}
              value={b}
              hint={hint(b)}
              onChange={(model) => onChoose({ b: model })}
            />
            <IconButton icon={X} label="Stop comparing" onClick={() => onChoose({ b: undefined })} />
          </div>
          <div className={css.wide}>
            <Switch
              label="One message for both"
              checked={!apart}
              onChange={(shared) => usePlayground.setState({ apart: !shared })}
            />
          </div>
        </>
      )}
    </div>
  );
}
