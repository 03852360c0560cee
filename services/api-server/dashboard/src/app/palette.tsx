/** Search and commands: pages, services, providers, models, and anything by its id. */

import { type KeyboardEvent, useId, useMemo, useState } from "react";
import { Dialog } from "../parts/dialog";
import { type Entry, ONCE, useEntries } from "./palette-entries";
import { ranked, storedRecent, storeRecent, withRecent } from "./palette-match";
import css from "./shell.module.css";

const MAX_SHOWN = 40;

export default function Palette({ onClose, onHelp }: { onClose: () => void; onHelp: () => void }) {
  const id = useId();
  const [typed, setTyped] = useState("");
  const [selected, setSelected] = useState(0);
  const entries = useEntries(typed.trim(), onHelp);
  const [recent] = useState(storedRecent);
  const found = useMemo(() => ranked(entries, typed, recent).slice(0, MAX_SHOWN), [entries, typed, recent]);
  const at = Math.min(selected, found.length - 1);
  const run = (entry: Entry | undefined) => {
    if (!entry) return;
    if (entry.kind !== ONCE) storeRecent(withRecent(recent, entry));
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
      run(found[at]?.entry);
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
          placeholder="Page, command, provider, model, route, key, or the id of a request"
          value={typed}
          onChange={(event) => {
            setTyped(event.target.value);
            setSelected(0);
          }}
          onKeyDown={pressed}
        />
        <div role="listbox" id={`${id}-list`} aria-label="Results" className={css.options} tabIndex={-1}>
          {found.map(({ entry, isRecent }, index) => (
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
              <small>{isRecent && typed === "" ? `${entry.kind}, recent` : entry.kind}</small>
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
