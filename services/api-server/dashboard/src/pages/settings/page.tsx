import { useQuery } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { create } from "zustand";
import { api, data } from "../../api/client";
import { useFocusOnMistake } from "../../api/mistakes";
import { aboutQuery, providersQuery, queryClient, settingsQuery } from "../../api/queries";
import { type PendingSetting, pendingSettingsQuery, settingsSchemaQuery } from "../../api/settings";
import { reconnect } from "../../api/socket";
import { DENSITIES, setPreferences, THEMES, usePreferences } from "../../app/preferences";
import { askToSignIn } from "../../app/session";
import { plural } from "../../format/numbers";
import { command } from "../../lifecycle/commands";
import { useServices } from "../../lifecycle/store";
import { attempt, useAction } from "../../parts/action";
import { Button, Row } from "../../parts/button";
import { AreaField, SelectField, Switch, TextField } from "../../parts/field";
import { LogOut } from "../../parts/icons";
import { Card, Failure, Loaded, Loading, Notice, Page, Stack } from "../../parts/layout";
import { Tag } from "../../parts/mark";
import parts from "../../parts/parts.module.css";
import {
  categoriesOf,
  isChanged,
  KNOWN,
  type KnownSetting,
  otherKeys,
  pendingPort,
  sentValue,
  shownValue,
  unknownSetting,
} from "./known";
import css from "./settings.module.css";

/** Settings that were changed here since the router process began, and are not in force. */
const useWaiting = create<{ keys: string[]; generation: number | null }>(() => ({ keys: [], generation: null }));

export default function Settings() {
  const query = useQuery(settingsQuery);
  return (
    <Page title="Settings">
      <Loaded query={query} rows={8}>
        {(settings) => (
          <>
            <RestartBar settings={settings} />
            <Categories settings={settings} />
          </>
        )}
      </Loaded>
      <Appearance />
      <SessionCard />
    </Page>
  );
}

function Categories({ settings }: { settings: Record<string, unknown> }) {
  const { data: schema, isPending } = useQuery(settingsSchemaQuery);
  if (isPending) return <Loading rows={8} />;
  const categories = schema ? categoriesOf(schema) : [{ name: "Router and logs", settings: KNOWN }];
  const told = new Set(categories.flatMap((category) => category.settings.map(({ key }) => key)));
  const others = otherKeys(settings).filter((key) => !told.has(key));
  const unknown = others.map((key) => unknownSetting(key, settings[key]));
  return [...categories, { name: "Other settings", settings: unknown }]
    .filter((category) => category.settings.length > 0)
    .map((category) => (
      <Card key={category.name} title={category.name}>
        <div className={css.settings}>
          {category.settings.map((setting) => (
            <Setting key={setting.key} setting={setting} value={settings[setting.key]} />
          ))}
        </div>
      </Card>
    ));
}

function RestartBar({ settings }: { settings: Record<string, unknown> }) {
  const generation = useServices((state) => state["provider-router"].status?.generation ?? null);
  const { data: pending } = useQuery(pendingSettingsQuery(generation));
  if (pending === undefined) return null;
  return pending === null ? <OwnRestartBar settings={settings} /> : <PendingBar pending={pending} />;
}

function PendingBar({ pending }: { pending: PendingSetting[] }) {
  const router = useServices((state) => state["provider-router"]);
  const undo = useAction(
    async () => {
      for (const { key, running } of pending)
        await data(api.PUT("/api/settings/{key}", { params: { path: { key } }, body: { value: running as string } }));
    },
    { done: "As it was before", after: () => queryClient.invalidateQueries({ queryKey: ["settings"] }) },
  );
  if (pending.length === 0) return null;
  return (
    <Notice
      tone="warn"
      action={
        <Row>
          <Button
            kind="primary"
            pending={router.pending === "restart" || router.restartingFrom !== null}
            onClick={() => void command("restart", "provider-router")}
          >
            Restart the router now
          </Button>
          <Button pending={undo.pending} onClick={() => undo.run()}>
            Undo
          </Button>
        </Row>
      }
    >
      <strong>{plural(pending.length, "change waits", "changes wait")} for a restart of the router:</strong>{" "}
      {pending.map(({ key, running, value }) => `${key} ${shownValue(running)} → ${shownValue(value)}`).join(", ")}.
      Running requests are finished first.
      {undo.problem && <Failure title="Not undone." error={undo.problem} />}
    </Notice>
  );
}

/** Stands in for a server that does not tell what waits: it knows what was changed here. */
function OwnRestartBar({ settings }: { settings: Record<string, unknown> }) {
  const router = useServices((state) => state["provider-router"]);
  const waiting = useWaiting();
  const port = pendingPort(settings, router.status);
  const same = router.status?.state === "running" && waiting.generation === router.status.generation;
  const others = same ? waiting.keys.filter((key) => key !== "server.port") : [];
  if (port === null && others.length === 0) return null;
  return (
    <Notice
      tone="warn"
      action={
        <Button
          kind="primary"
          pending={router.pending === "restart" || router.restartingFrom !== null}
          onClick={() => void command("restart", "provider-router")}
        >
          Restart the router now
        </Button>
      }
    >
      <strong>In force after a restart of the router:</strong>{" "}
      {[...(port === null ? [] : [port]), ...others].join(", ")}. Running requests are finished first.
    </Notice>
  );
}

function Setting({ setting, value }: { setting: KnownSetting; value: unknown }) {
  const { key, kind } = setting;
  const stored = shownValue(value);
  const changed = isChanged(setting, value);
  const form = useRef<HTMLFormElement>(null);
  const [edited, setEdited] = useState<string | null>(null);
  const { data: providers } = useQuery({ ...providersQuery, enabled: kind === "provider" });
  const write = useAction(
    async (text: string | null) => {
      const params = { path: { key } };
      return text === null
        ? await data(api.DELETE("/api/settings/{key}", { params }))
        : await data(api.PUT("/api/settings/{key}", { params, body: { value: sentValue(kind, text) as string } }));
    },
    {
      done: (written) => (written.requiresRestart ? "Saved: in force after a restart of the router" : "Saved"),
      after: async (written) => {
        setEdited(null);
        if (written.requiresRestart) {
          const generation = useServices.getState()["provider-router"].status?.generation ?? null;
          useWaiting.setState((old) => ({
            generation,
            keys: [...new Set([...(old.generation === generation ? old.keys : []), key])],
          }));
        }
        await queryClient.invalidateQueries({ queryKey: ["settings"] });
      },
    },
  );
  useFocusOnMistake(form, write.problem);
  const shown = edited ?? stored;
  const dirty = edited !== null && edited !== stored;
  const common = {
    label: setting.label,
    hint: setting.hint,
    value: shown,
    mistakes: write.problem ? [write.problem.message] : undefined,
  };
  return (
    <form
      ref={form}
      id={key}
      className={css.setting}
      onSubmit={(event) => {
        event.preventDefault();
        if (dirty) write.run(edited);
      }}
    >
      {kind === "switch" ? (
        <div>
          <Switch
            label={setting.label}
            checked={shown === "true"}
            pending={write.pending}
            onChange={(on) => write.run(String(on))}
          />
          <p className={parts.hint}>{setting.hint}</p>
          {write.problem && <Failure title="Not saved." error={write.problem} />}
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
        <AreaField {...common} className="mono" rows={4} placeholder="{}" onChange={setEdited} />
      ) : (
        <TextField {...common} mono inputMode={kind === "text" ? undefined : "numeric"} onChange={setEdited} />
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

function Appearance() {
  const preferences = usePreferences();
  return (
    <Card title="This browser">
      <div className={css.settings}>
        <SelectField
          label="Theme"
          value={preferences.theme}
          onChange={(theme) => setPreferences({ theme: theme as (typeof THEMES)[number] })}
          options={[...THEMES]}
        />
        <SelectField
          label="Density"
          value={preferences.density}
          onChange={(density) => setPreferences({ density: density as (typeof DENSITIES)[number] })}
          options={[...DENSITIES]}
        />
        <Stack>
          <Switch
            label="Shortcuts of a single key"
            checked={preferences.keys}
            onChange={(keys) => setPreferences({ keys })}
          />
          <Switch label="Times in UTC" checked={preferences.utc} onChange={(utc) => setPreferences({ utc })} />
          <Switch
            label="Status bar"
            checked={preferences.statusBar}
            onChange={(statusBar) => setPreferences({ statusBar })}
          />
          <Switch
            label="First steps on the overview"
            checked={preferences.firstSteps}
            onChange={(firstSteps) => setPreferences({ firstSteps })}
          />
        </Stack>
      </div>
    </Card>
  );
}

function SessionCard() {
  const { data: about } = useQuery(aboutQuery);
  if (!about?.token_required) return null;
  const signOut = () =>
    attempt(async () => {
      await data(api.DELETE("/api/session"));
      askToSignIn();
      // The events end with the session.
      reconnect();
      queryClient.clear();
    });
  return (
    <Card title="Session">
      <Button icon={LogOut} onClick={signOut}>
        Sign out
      </Button>
    </Card>
  );
}
