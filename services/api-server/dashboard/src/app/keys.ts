/** Keyboard shortcuts of the whole console. */

import { useRouter } from "@tanstack/react-router";
import { useEffect } from "react";
import { NAVIGATION } from "./navigation";
import { usePreferences } from "./preferences";
import { backToList, watchReturns } from "./returning";

/** Milliseconds between the two keys of `g o`. */
const SEQUENCE_WITHIN = 1_200;

/** Returns whether a key is meant for an input, and not for the page. */
export function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable ||
      /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) ||
      target.closest("dialog[open],[popover]:popover-open") !== null)
  );
}

/** Returns the rows of the page, and the one that has the focus. */
function rowsOf(): { rows: HTMLElement[]; focused: HTMLElement | null | undefined } {
  const rows = [...document.querySelectorAll<HTMLElement>("#main [data-row]")];
  return { rows, focused: document.activeElement?.closest<HTMLElement>("[data-row]") };
}

function focusOn(row: HTMLElement | undefined): void {
  row?.focus();
  row?.scrollIntoView({ block: "nearest" });
}

/** Moves the focus to the next or previous row of the page. */
export function moveRow(by: 1 | -1): void {
  const { rows, focused } = rowsOf();
  const at = focused ? rows.indexOf(focused) : by === 1 ? -1 : rows.length;
  focusOn(rows[Math.max(0, Math.min(rows.length - 1, at + by))]);
}

/** Moves the focus from a row to the first or last one. Returns whether a row had it: otherwise the page scrolls. */
function moveToEnd(at: 0 | -1): boolean {
  const { rows, focused } = rowsOf();
  if (focused) focusOn(rows.at(at));
  return Boolean(focused);
}

/** Opens the actions of the row with the focus, or those of the page. */
function openActions(): void {
  const MENU = "[aria-haspopup='menu']";
  const row = document.activeElement?.closest("tr, li, article");
  (row?.querySelector<HTMLElement>(MENU) ?? document.querySelector<HTMLElement>(`#main ${MENU}`))?.click();
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

/** Does what a key does on lists; returns whether it did anything. */
function hasMoved(key: string, router: ReturnType<typeof useRouter>): boolean {
  if (key === "Escape") return backToList(router);
  if (key === "Home") return moveToEnd(0);
  return key === "End" && moveToEnd(-1);
}

/** Listens for the shortcuts that work everywhere. */
export function useShortcuts(open: { palette: () => void; help: () => void }): void {
  const { palette, help } = open;
  const router = useRouter();
  useEffect(() => watchReturns(router), [router]);
  useEffect(() => {
    let began = 0;
    const pressed = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        palette();
        return;
      }
      const plain = !event.ctrlKey && !event.metaKey && !event.altKey && !event.defaultPrevented;
      if (!plain || isTyping(event.target)) return;
      if (hasMoved(event.key, router)) event.preventDefault();
      if (event.key.length > 1 || !usePreferences.getState().keys) return;
      const second = event.timeStamp - began < SEQUENCE_WITHIN;
      began = 0;
      if (second) {
        const entry = NAVIGATION.find(({ key }) => key === event.key);
        if (entry) {
          event.preventDefault();
          void router.navigate({ to: entry.path });
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
        ".": openActions,
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
  }, [palette, help, router]);
}
