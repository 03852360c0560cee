/** A setting with its value, which is saved by itself. */

import { useQuery } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { useFocusOnMistake } from "../../api/mistakes";
import { providersQuery, queryClient } from "../../api/queries";
import { readSetting, type SeenSetting, writeSetting } from "../../api/settings";
import { useAction } from "../../parts/action";
import { Button, Row } from "../../parts/button";
import { ConflictDialog, useConflict } from "../../parts/conflict";
import { AreaField, SelectField, Switch, TextField } from "../../parts/field";
import { Failure } from "../../parts/layout";
import { Tag } from "../../parts/mark";
import parts from "../../parts/parts.module.css";
import { toast } from "../../parts/toast";
import { isChanged, type KnownSetting, sentValue, shownValue } from "./known";
import { noteWaiting } from "./restart-bar";
import css from "./settings.module.css";

/** What was entered, and the value that it stands in for. */
interface Edited {
  text: string;
  base: unknown;
}

export function Setting({ setting, value }: { setting: KnownSetting; value: unknown }) {
  const { key, kind } = setting;
  const stored = shownValue(value);
  const changed = isChanged(setting, value);
  const form = useRef<HTMLFormElement>(null);
  const [edited, setEdited] = useState<Edited | null>(null);
  const { data: providers } = useQuery({ ...providersQuery, enabled: kind === "provider" });
  const base = edited ? edited.base : value;
  const { conflict, close, guard } = useConflict<SeenSetting>();
  const put = async (over: SeenSetting, text: string | null) => {
    const written = await writeSetting(key, text === null ? undefined : sentValue(kind, text), over);
    setEdited(null);
    if (written.requiresRestart) noteWaiting(key);
    await queryClient.invalidateQueries({ queryKey: ["settings"] });
    toast(written.requiresRestart ? "Saved: in force after a restart of the router" : "Saved", { kind: "ok" });
  };
  const write = useAction((text: string | null) =>
    guard(
      { value: base, etag: null },
      (over) => put(over, text),
      () => readSetting(key),
    ),
  );
  const takeStored = () => {
    setEdited(null);
    void queryClient.invalidateQueries({ queryKey: ["settings"] });
  };
  // What was changed elsewhere is asked about, and is no mistake.
  const problem = write.problem?.isConflict ? null : write.problem;
  useFocusOnMistake(form, problem);
  const edit = (text: string) => setEdited((old) => ({ base: value, ...old, text }));
  const shown = edited?.text ?? stored;
  const dirty = edited !== null && edited.text !== stored;
  const common = {
    label: setting.label,
    hint: setting.hint,
    value: shown,
    mistakes: problem ? [problem.message] : undefined,
  };
  return (
    <form
      ref={form}
      id={key}
      className={css.setting}
      onSubmit={(event) => {
        event.preventDefault();
        if (dirty) write.run(edited.text);
      }}
    >
      {conflict && (
        <ConflictDialog
          what={setting.label}
          base={named(setting, base)}
          now={named(setting, conflict.now.value)}
          onMine={conflict.mine}
          onTheirs={takeStored}
          onClose={close}
        />
      )}
      {kind === "switch" ? (
        <div>
          <Switch
            label={setting.label}
            checked={shown === "true"}
            pending={write.pending}
            onChange={(on) => write.run(String(on))}
          />
          <p className={parts.hint}>{setting.hint}</p>
          {problem && <Failure title="Not saved." error={problem} />}
        </div>
      ) : kind === "provider" ? (
        <SelectField
          {...common}
          onChange={(id) => write.run(id)}
          options={[
            ...(stored === "" ? [["", "none"] as [string, string]] : []),
            ...(providers ?? [{ id: stored, name: stored }]).map(({ id, name }): [string, string] => [id, name]),
          ]}
        />
      ) : typeof kind === "object" ? (
        <SelectField
          {...common}
          onChange={(choice) => write.run(choice)}
          options={[...new Set([...kind.choices, stored])].filter((choice) => choice !== "")}
        />
      ) : kind === "json" ? (
        <AreaField {...common} className="mono" rows={4} placeholder="{}" onChange={edit} />
      ) : (
        <TextField {...common} mono inputMode={kind === "text" ? undefined : "numeric"} onChange={edit} />
      )}
      <Row>
        {setting.restart && <Tag>after restart</Tag>}
        {changed && !dirty && <Tag>changed</Tag>}
        {dirty && (
          <>
            <Button small kind="primary" type="submit" pending={write.pending}>
              Save
            </Button>
            <Button small kind="quiet" onClick={() => setEdited(null)}>
              Discard
            </Button>
          </>
        )}
        {!dirty && kind !== "provider" && changed !== false && (
          <Button
            small
            kind="quiet"
            onClick={() => write.run(null)}
            title={changed === null ? "Back to the default" : `Back to ${shownValue(setting.byDefault) || "none"}`}
          >
            Reset
          </Button>
        )}
      </Row>
    </form>
  );
}

/** Returns a value with the name of its setting; without one, nothing. */
function named({ label }: KnownSetting, value: unknown): object {
  return value === undefined ? {} : { [label]: value };
}
