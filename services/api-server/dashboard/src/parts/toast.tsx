/** Short messages in the corner. */

import { useEffect, useState } from "react";
import { create } from "zustand";
import { IconButton } from "./button";
import { X } from "./icons";
import { Mark } from "./mark";
import css from "./parts.module.css";

type Kind = "ok" | "bad" | "plain";

interface Toast {
  id: number;
  text: string;
  kind: Kind;
  at: number;
}

const MAX_TOASTS = 5;
const SHOWN_FOR = 3_000;
/** Milliseconds within which an equal message is not repeated. */
const SAME_WITHIN = 1_000;

let last = 0;
const useToasts = create<{ list: Toast[] }>(() => ({ list: [] }));

/** Shows a message. Failures stay until they are dismissed. */
export function toast(text: string, { kind = "plain" }: { kind?: Kind } = {}): void {
  const at = Date.now();
  useToasts.setState(({ list }) => {
    if (list.some((one) => one.text === text && at - one.at < SAME_WITHIN)) return { list };
    last += 1;
    return { list: [...list, { id: last, text, kind, at }].slice(-MAX_TOASTS) };
  });
}

function dismiss(id: number): void {
  useToasts.setState(({ list }) => ({ list: list.filter((one) => one.id !== id) }));
}

export function Toasts() {
  const list = useToasts((state) => state.list);
  return (
    <div className={css.toasts} role="status" aria-live="polite">
      {list.map((one) => (
        <Message key={one.id} toast={one} />
      ))}
    </div>
  );
}

function Message({ toast }: { toast: Toast }) {
  const [held, setHeld] = useState(false);
  useEffect(() => {
    if (held || toast.kind === "bad") return;
    const timer = setTimeout(() => dismiss(toast.id), SHOWN_FOR);
    return () => clearTimeout(timer);
  }, [held, toast]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: hovering only delays the disappearance
    <div
      className={css.toast}
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
    >
      {toast.kind !== "plain" && <Mark tone={toast.kind} />}
      <span className={css.toastText}>{toast.text}</span>
      <IconButton icon={X} label="Dismiss" small onClick={() => dismiss(toast.id)} />
    </div>
  );
}
