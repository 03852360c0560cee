/** Keyboard shortcuts of the whole console. */

import { useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";
import { NAVIGATION } from "./navigation";
import { usePreferences } from "./preferences";

/** Milliseconds between the two keys of `g o`. */
const SEQUENCE_WITHIN = 1_200;

export interface Shortcut {
  keys: string[];
  meaning: string;
}

export const SHORTCUTS: Shortcut[] = [
  { keys: ["Ctrl", "K"], meaning: "Search and commands" },
  { keys: ["/"], meaning: "Go to the search field" },
  { keys: ["j"], meaning: "Next row" },
  { keys: ["k"], meaning: "Previous row" },
  { keys: ["Enter"], meaning: "Open the row" },
  { keys: ["["], meaning: "Earlier request" },
  { keys: ["]"], meaning: "Later request" },
  { keys: ["f"], meaning: "Follow or pause the log" },
  { keys: ["Esc"], meaning: "Close, or back to the list" },
  { keys: ["?"], meaning: "Shortcuts" },
  ...NAVIGATION.map(({ key, label }) => ({ keys: ["g", key], meaning: label })),
];

/** Returns whether a key is meant for an input, and not for the page. */
export function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable ||
      /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) ||
      target.closest("dialog[open],[popover]:popover-open") !== null)
  );
}

/** Moves the focus to the next or previous row of the page. */
export function moveRow(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>("#main [data-row]")];
  const focused = document.activeElement?.closest<HTMLElement>("[data-row]");
  const at = focused ? rows.indexOf(focused) : by === 1 ? -1 : rows.length;
  const next = rows[Math.max(0, Math.min(rows.length - 1, at + by))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

/** Listens for a single key on the whole page, unless something is being typed. */
export function useKey(key: string, run: () => void): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.key !== key || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      if (!usePreferences.getState().keys && key.length === 1) return;
      event.preventDefault();
      run();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [key, run]);
}

/** Listens for the shortcuts that work everywhere. */
export function useShortcuts(open: { palette: () => void; help: () => void }): void {
  const { palette, help } = open;
  const navigate = useNavigate();
  useEffect(() => {
    let began = 0;
    const pressed = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        palette();
        return;
      }
      const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
      if (!plain || isTyping(event.target) || !usePreferences.getState().keys) return;
      const second = event.timeStamp - began < SEQUENCE_WITHIN;
      began = 0;
      if (second) {
        const entry = NAVIGATION.find(({ key }) => key === event.key);
        if (entry) {
          event.preventDefault();
          void navigate({ to: entry.path });
        }
        return;
      }
      const actions: Record<string, () => void> = {
        g: () => {
          began = event.timeStamp;
        },
        j: () => moveRow(1),
        k: () => moveRow(-1),
        "/": () => document.querySelector<HTMLElement>("#main [data-shortcut='/']")?.focus(),
        "?": help,
      };
      const action = actions[event.key];
      if (action) {
        event.preventDefault();
        action();
      }
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [palette, help, navigate]);
}
