import { useQuery } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import { aboutQuery, queryClient, settingsQuery } from "../../api/queries";
import { settingsSchemaQuery } from "../../api/settings";
import { reconnect } from "../../api/socket";
import { DENSITIES, setPreferences, THEMES, usePreferences } from "../../app/preferences";
import { askToSignIn } from "../../app/session";
import { attempt } from "../../parts/action";
import { Button } from "../../parts/button";
import { SelectField, Switch } from "../../parts/field";
import { LogOut } from "../../parts/icons";
import { Card, Loaded, Loading, Page, Stack } from "../../parts/layout";
import { categoriesOf, KNOWN, otherKeys, unknownSetting } from "./known";
import { RestartBar } from "./restart-bar";
import { Setting } from "./setting";
import css from "./settings.module.css";

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
