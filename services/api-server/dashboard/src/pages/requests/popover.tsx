/** A button with a panel below it, on the popover attribute. */

import { type ReactNode, useId, useRef, useState } from "react";
import { Button } from "../../parts/button";
import css from "./list.module.css";

interface PopoverProps {
  /** Name of the panel. */
  name: string;
  /** Content of the button. */
  button: ReactNode;
  small?: boolean;
  className?: string | undefined;
  onOpen?: (() => void) | undefined;
  onClose?: (() => void) | undefined;
  children: ReactNode;
}

export function Popover({ name, button: content, small, className, onOpen, onClose, children }: PopoverProps) {
  const id = useId();
  const panel = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  const place = () => {
    const box = button.current?.getBoundingClientRect();
    const list = panel.current;
    if (!box || !list) return;
    list.style.top = `${Math.min(box.bottom + 4, Math.max(8, innerHeight - list.offsetHeight - 8))}px`;
    list.style.left = `${Math.max(8, Math.min(box.left, innerWidth - list.offsetWidth - 8))}px`;
    list.querySelector("input")?.focus();
  };
  return (
    <>
      <Button
        ref={button}
        small={small ?? false}
        kind={small ? "quiet" : "default"}
        className={className}
        popoverTarget={id}
        aria-haspopup="dialog"
        aria-expanded={open}
      >
        {content}
      </Button>
      <div
        ref={panel}
        id={id}
        popover="auto"
        role="dialog"
        aria-label={name}
        className={css.choices}
        onBeforeToggle={(event) => {
          // What is in it exists only while it is open.
          if (event.newState !== "open") return;
          setOpen(true);
          onOpen?.();
        }}
        onToggle={(event) => {
          setOpen(event.newState === "open");
          if (event.newState === "open") place();
          else onClose?.();
        }}
      >
        {open && children}
      </div>
    </>
  );
}
