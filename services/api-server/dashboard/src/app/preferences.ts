/** Choices of this browser. */

import { create } from "zustand";
import { setUtc } from "../format/time";

export const THEMES = ["system", "light", "dark"] as const;
export const DENSITIES = ["comfortable", "compact"] as const;

export interface Preferences {
  theme: (typeof THEMES)[number];
  density: (typeof DENSITIES)[number];
  /** Whether single keys are shortcuts. */
  keys: boolean;
  statusBar: boolean;
  /** Whether the first steps are shown on the overview. */
  firstSteps: boolean;
  /** Whether times are in UTC, and not in the zone of the browser. */
  utc: boolean;
}

const KEY = "signalbox.console";
const DEFAULTS: Preferences = {
  theme: "system",
  density: "comfortable",
  keys: true,
  statusBar: true,
  firstSteps: true,
  utc: false,
};

/** Returns stored preferences; whatever is missing or not understood has its default. */
export function parsePreferences(stored: string | null): Preferences {
  let given: Partial<Record<keyof Preferences, unknown>> = {};
  try {
    const value: unknown = JSON.parse(stored ?? "{}");
    if (typeof value === "object" && value !== null) given = value;
  } catch {
    // Written by something else.
  }
  const flag = (value: unknown, byDefault: boolean) => (typeof value === "boolean" ? value : byDefault);
  return {
    theme: THEMES.find((theme) => theme === given.theme) ?? DEFAULTS.theme,
    density: DENSITIES.find((density) => density === given.density) ?? DEFAULTS.density,
    keys: flag(given.keys, DEFAULTS.keys),
    statusBar: flag(given.statusBar, DEFAULTS.statusBar),
    firstSteps: flag(given.firstSteps, DEFAULTS.firstSteps),
    utc: flag(given.utc, DEFAULTS.utc),
  };
}

function stored(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    // Storage may be forbidden.
    return null;
  }
}

export const usePreferences = create<Preferences>(() => parsePreferences(stored()));

export function setPreferences(changes: Partial<Preferences>): void {
  usePreferences.setState(changes);
}

/** Applies the preferences to the page, now and with every change. */
export function applyPreferences(): void {
  const apply = (preferences: Preferences) => {
    const { dataset } = document.documentElement;
    dataset.theme = preferences.theme;
    dataset.density = preferences.density;
    setUtc(preferences.utc);
  };
  apply(usePreferences.getState());
  usePreferences.subscribe((preferences) => {
    apply(preferences);
    try {
      localStorage.setItem(KEY, JSON.stringify(preferences));
    } catch {
      // Kept until the page is closed.
    }
  });
}
