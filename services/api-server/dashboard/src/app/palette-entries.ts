/** What can be found and done by the palette. */

import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { keysQuery, routesQuery } from "../api/access-queries";
import { useConnection } from "../api/connection";
import { modelsQuery, providersQuery } from "../api/queries";
import { settingsSchemaQuery } from "../api/settings";
import { command } from "../lifecycle/commands";
import type { Command } from "../lifecycle/reducer";
import { SERVICES, type Service } from "../lifecycle/store";
import { ask } from "../parts/dialog";
import {
  Boxes,
  FileSearch,
  History,
  Key,
  Keyboard,
  type LucideIcon,
  Moon,
  Play,
  Plug,
  RotateCw,
  Settings2,
  Split,
  Square,
  Sun,
  SunMoon,
} from "../parts/icons";
import { NAVIGATION } from "./navigation";
import { setPreferences, usePreferences } from "./preferences";

export interface Entry {
  label: string;
  kind: string;
  icon: LucideIcon;
  run: () => void;
}

/** Kind of the entries that are no recent choices: they belong to what was typed. */
export const ONCE = "Open by id";

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

const HOUR = 3_600_000;

export function useEntries(typed: string, onHelp: () => void): Entry[] {
  const navigate = useNavigate();
  const { data: providers } = useQuery(providersQuery);
  const { data: models } = useQuery(modelsQuery);
  const { data: routes } = useQuery(routesQuery);
  const { data: keys } = useQuery(keysQuery);
  const { data: schema } = useQuery(settingsSchemaQuery);
  const away = useConnection((state) => state.away);
  const utc = usePreferences((state) => state.utc);
  return useMemo(() => {
    const named = (kind: string, icon: LucideIcon, label: string, run: () => unknown): Entry => ({
      label,
      kind,
      icon,
      run: () => void run(),
    });
    const failed = () => navigate({ to: "/requests", search: { status: "failed", from: Date.now() - HOUR } });
    // Those of the original without an effect are not found.
    const settings = (schema ?? []).filter((setting) => !setting.deprecated);
    return [
      ...(UUID.test(typed)
        ? [
            named(ONCE, FileSearch, `Request ${typed}`, () => navigate({ to: "/requests/$id", params: { id: typed } })),
            named(ONCE, FileSearch, `Session ${typed}`, () => navigate({ to: "/sessions/$id", params: { id: typed } })),
          ]
        : []),
      ...NAVIGATION.map(({ path, label, icon }) => named("Page", icon, label, () => navigate({ to: path }))),
      // A command that cannot arrive is not offered.
      ...(away ? [] : commands()),
      named("Requests", FileSearch, "Failed requests of the last hour", failed),
      named("Providers", Plug, "Add a provider", () => navigate({ to: "/providers/new" })),
      named("Routes", Split, "Add a route", () => navigate({ to: "/routes/new" })),
      named("Client keys", Key, "Create a key", () => navigate({ to: "/keys/new" })),
      named("Appearance", Sun, "Light theme", () => setPreferences({ theme: "light" })),
      named("Appearance", Moon, "Dark theme", () => setPreferences({ theme: "dark" })),
      named("Appearance", SunMoon, "Theme of the system", () => setPreferences({ theme: "system" })),
      named("Appearance", History, utc ? "Times in the zone of this browser" : "Times in UTC", () =>
        setPreferences({ utc: !utc }),
      ),
      named("Help", Keyboard, "Shortcuts", onHelp),
      ...(providers ?? []).map(({ id, name }) =>
        named("Provider", Plug, name === id ? id : `${name} (${id})`, () =>
          navigate({ to: "/providers/$id", params: { id } }),
        ),
      ),
      ...(models ?? []).map(({ id }) =>
        named("Model", Boxes, id, () => navigate({ to: "/models/$id", params: { id } })),
      ),
      ...(routes ?? []).map(({ id, model }) =>
        named("Route", Split, model, () => navigate({ to: "/routes/$id", params: { id } })),
      ),
      ...(keys ?? []).map(({ id, name }) =>
        named("Client key", Key, name, () => navigate({ to: "/keys/$id", params: { id } })),
      ),
      ...settings.map(({ key }) => named("Setting", Settings2, key, () => navigate({ to: "/settings", hash: key }))),
    ];
  }, [typed, navigate, providers, models, routes, keys, schema, onHelp, away, utc]);
}

const ICONS = { start: Play, stop: Square, restart: RotateCw };
const VERBS = { start: "Start", stop: "Stop", restart: "Restart" };
const TEXTS: Record<Command, (service: Service | null) => string> = {
  start: (service) => (service === null ? "Those that do not run are started." : "It is started, if it does not run."),
  stop: (service) =>
    service === "qwen-proxy"
      ? "Its models give no answers until it is started again. Running requests are finished first."
      : "Clients get no answers until it is started again. Running requests are finished first.",
  restart: () => "A new process takes over; no request is lost.",
};

/** Returns each command for each service, and for both. They ask before they do something. */
function commands(): Entry[] {
  const kinds: Command[] = ["start", "stop", "restart"];
  return kinds.flatMap((kind) =>
    [...SERVICES, null].map((service): Entry => {
      const label = `${VERBS[kind]} ${service ?? "both services"}`;
      const run = () => command(kind, service);
      return {
        label,
        kind: "Command",
        icon: ICONS[kind],
        run: () => ask({ title: `${label}?`, text: TEXTS[kind](service), action: label, danger: kind === "stop", run }),
      };
    }),
  );
}
