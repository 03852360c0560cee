/** A menu below its button, on the popover attribute. */

import { type KeyboardEvent, useId, useRef } from "react";
import { classes, IconButton } from "./button";
import { Ellipsis, type LucideIcon } from "./icons";
import css from "./parts.module.css";

export interface MenuItem {
  label: string;
  icon?: LucideIcon;
  danger?: boolean;
  run: () => void;
}

export function Menu({ label, items, icon = Ellipsis }: { label: string; items: MenuItem[]; icon?: LucideIcon }) {
  const id = useId();
  const menu = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const buttons = () => [...(menu.current?.querySelectorAll("button") ?? [])];
  const place = () => {
    const box = button.current?.getBoundingClientRect();
    const list = menu.current;
    if (!box || !list) return;
    list.style.margin = "0";
    list.style.top = `${Math.min(box.bottom + 4, innerHeight - list.offsetHeight - 8)}px`;
    list.style.left = `${Math.max(8, Math.min(box.right - list.offsetWidth, innerWidth - list.offsetWidth - 8))}px`;
    buttons()[0]?.focus();
  };
  const move = (event: KeyboardEvent) => {
    const list = buttons();
    const at = list.indexOf(document.activeElement as HTMLButtonElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: list.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    list[(next + list.length) % list.length]?.focus();
  };
  return (
    <>
      <IconButton ref={button} icon={icon} label={label} aria-haspopup="menu" popoverTarget={id} />
      <div
        ref={menu}
        id={id}
        popover="auto"
        role="menu"
        aria-label={label}
        tabIndex={-1}
        className={css.menu}
        onKeyDown={move}
        onToggle={(event) => {
          if (event.newState === "open") place();
        }}
      >
        {items.map(({ label, icon: Icon, danger, run }) => (
          <button
            key={label}
            type="button"
            role="menuitem"
            tabIndex={-1}
            className={classes(danger && css.bad)}
            onClick={() => {
              menu.current?.hidePopover();
              button.current?.focus();
              run();
            }}
          >
            {Icon && <Icon size={16} aria-hidden="true" />}
            {label}
          </button>
        ))}
      </div>
    </>
  );
}
