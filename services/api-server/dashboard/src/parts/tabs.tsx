import { type KeyboardEvent, type ReactNode, useId } from "react";
import css from "./parts.module.css";

interface TabsProps<T extends string> {
  label: string;
  tabs: readonly (readonly [key: T, name: ReactNode])[];
  current: T;
  onChange: (key: T) => void;
  children: ReactNode;
}

/** Tabs with the panel of the current one. Arrow keys move between them. */
export function Tabs<T extends string>({ label, tabs, current, onChange, children }: TabsProps<T>) {
  const id = useId();
  const move = (event: KeyboardEvent) => {
    const at = tabs.findIndex(([key]) => key === current);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const key = tabs[(next + tabs.length) % tabs.length]![0];
    onChange(key);
    document.getElementById(`${id}-${key}`)?.focus();
  };
  return (
    <>
      <div role="tablist" aria-label={label} className={css.tabs} onKeyDown={move}>
        {tabs.map(([key, name]) => (
          <button
            key={key}
            id={`${id}-${key}`}
            type="button"
            role="tab"
            aria-selected={key === current}
            aria-controls={`${id}-panel`}
            tabIndex={key === current ? 0 : -1}
            className={css.tab}
            onClick={() => onChange(key)}
          >
            {name}
          </button>
        ))}
      </div>
      <div id={`${id}-panel`} role="tabpanel" aria-labelledby={`${id}-${current}`} style={{ minWidth: 0 }}>
        {children}
      </div>
    </>
  );
}
