/** Search and commands: pages, services, providers, models, and anything by its id. */

import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type KeyboardEvent, useId, useMemo, useState } from "react";
import { modelsQuery, providersQuery, settingsQuery } from "../api/queries";
import { command } from "../lifecycle/commands";
import { ask, Dialog } from "../parts/dialog";
import {
  Boxes,
  FileSearch,
  Keyboard,
  type LucideIcon,
  Moon,
  Play,
  Plug,
  RotateCw,
  Settings2,
  Square,
  Sun,
} from "../parts/icons";
import { NAVIGATION } from "./navigation";
import { matches } from "./palette-match";
import { setPreferences } from "./preferences";
import css from "./shell.module.css";

interface Entry {
  label: string;
  kind: string;
  icon: LucideIcon;
  run: () => void;
}

const MAX_SHOWN = 40;
const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

export default function Palette({ onClose, onHelp }: { onClose: () => void; onHelp: () => void }) {
  const id = useId();
  const [typed, setTyped] = useState("");
  const [selected, setSelected] = useState(0);
  const entries = useEntries(typed.trim(), onHelp);
  const found = useMemo(
    () => entries.filter(({ label, kind }) => matches(`${label} ${kind}`, typed)).slice(0, MAX_SHOWN),
    [entries, typed],
  );
  const at = Math.min(selected, found.length - 1);
  const run = (entry: Entry | undefined) => {
    if (!entry) return;
    onClose();
    entry.run();
  };
  const pressed = (event: KeyboardEvent) => {
    const next = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (next !== undefined) {
      event.preventDefault();
      const moved = (next + found.length) % Math.max(1, found.length);
      setSelected(moved);
      document.getElementById(`${id}-${moved}`)?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(found[at]);
    }
  };
  return (
    <Dialog title="Search and commands" className={css.palette} onClose={onClose}>
      <div className={css.paletteBox}>
        <input
          type="text"
          role="combobox"
          aria-expanded="true"
          aria-controls={`${id}-list`}
          aria-activedescendant={found.length > 0 ? `${id}-${at}` : undefined}
          aria-label="Search and commands"
          placeholder="Page, command, provider, model, or the id of a request"
          value={typed}
          onChange={(event) => {
            setTyped(event.target.value);
            setSelected(0);
          }}
          onKeyDown={pressed}
        />
        <div role="listbox" id={`${id}-list`} aria-label="Results" className={css.options} tabIndex={-1}>
          {found.map((entry, index) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the field above handles the keys
            <div
              key={`${entry.kind} ${entry.label}`}
              id={`${id}-${index}`}
              role="option"
              tabIndex={-1}
              aria-selected={index === at}
              className={css.option}
              onClick={() => run(entry)}
              onPointerMove={() => setSelected(index)}
            >
              <entry.icon size={16} aria-hidden="true" />
              {entry.label}
              <small>{entry.kind}</small>
            </div>
          ))}
          {found.length === 0 && <p className={`${css.option} muted`}>Nothing is named like this.</p>}
        </div>
        <div role="status" className="visually-hidden">
          {found.length} results
        </div>
      </div>
    </Dialog>
  );
}

function useEntries(typed: string, onHelp: () => void): Entry[] {
  const navigate = useNavigate();
  const { data: providers } = useQuery(providersQuery);
  const { data: models } = useQuery(modelsQuery);
  const { data: settings } = useQuery(settingsQuery);
  return useMemo(() => {
    const byId: Entry[] = UUID.test(typed)
      ? [
          {
            label: `Request ${typed}`,
            kind: "Open by id",
            icon: FileSearch,
            run: () => void navigate({ to: "/requests/$id", params: { id: typed } }),
          },
          {
            label: `Session ${typed}`,
            kind: "Open by id",
            icon: FileSearch,
            run: () => void navigate({ to: "/sessions/$id", params: { id: typed } }),
          },
        ]
      : [];
    return [
      ...byId,
      ...NAVIGATION.map(({ path, label, icon }) => ({
        label,
        kind: "Page",
        icon,
        run: () => void navigate({ to: path }),
      })),
      ...commands(),
      {
        label: "Failed requests of the last hour",
        kind: "Requests",
        icon: FileSearch,
        run: () => void navigate({ to: "/requests", search: { status: "failed", from: Date.now() - 3_600_000 } }),
      },
      { label: "Add a provider", kind: "Providers", icon: Plug, run: () => void navigate({ to: "/providers/new" }) },
      { label: "Light theme", kind: "Appearance", icon: Sun, run: () => setPreferences({ theme: "light" }) },
      { label: "Dark theme", kind: "Appearance", icon: Moon, run: () => setPreferences({ theme: "dark" }) },
      { label: "Shortcuts", kind: "Help", icon: Keyboard, run: onHelp },
      ...(providers ?? []).map(({ id, name }) => ({
        label: name === id ? id : `${name} (${id})`,
        kind: "Provider",
        icon: Plug,
        run: () => void navigate({ to: "/providers/$id", params: { id } }),
      })),
      ...(models ?? []).map(({ id }) => ({
        label: id,
        kind: "Model",
        icon: Boxes,
        run: () => void navigate({ to: "/models/$id", params: { id } }),
      })),
      ...Object.keys(settings ?? {}).map((key) => ({
        label: key,
        kind: "Setting",
        icon: Settings2,
        run: () => void navigate({ to: "/settings", hash: key }),
      })),
    ];
  }, [typed, navigate, providers, models, settings, onHelp]);
}

function commands(): Entry[] {
  const confirmed = (
    label: string,
    text: string,
    kind: "start" | "stop" | "restart",
    service: "provider-router" | "qwen-proxy" | null,
  ): Entry => ({
    label,
    kind: "Command",
    icon: { start: Play, stop: Square, restart: RotateCw }[kind],
    run: () =>
      ask({ title: `${label}?`, text, action: label, danger: kind === "stop", run: () => command(kind, service) }),
  });
  return [
    confirmed("Start both services", "provider-router and qwen-proxy are started, if they do not run.", "start", null),
    confirmed(
      "Stop both services",
      "Clients get no answers until they are started again. Running requests are finished first.",
      "stop",
      null,
    ),
    confirmed("Restart provider-router", "A new process takes over; no request is lost.", "restart", "provider-router"),
    confirmed("Restart qwen-proxy", "A new process takes over; no request is lost.", "restart", "qwen-proxy"),
  ];
}
