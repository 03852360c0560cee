/** Times, durations and ages as text. All inputs are milliseconds, unless the name says otherwise. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Text for a value that is not known. */
export const UNKNOWN = "–";

/** Zone of all times; `undefined`: that of the browser. */
let zone: "UTC" | undefined;

/** Chooses UTC, or the zone of the browser, for what is formatted or read from now on. */
export function setUtc(utc: boolean): void {
  zone = utc ? "UTC" : undefined;
}

/** Returns the name of the zone of all times, such as `Europe/Berlin`. */
export function zoneName(): string {
  return zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** Returns a function that formats times in the zone that is chosen then. */
export function formatter(options: Intl.DateTimeFormatOptions): (at: number) => string {
  const made = new Map<string | undefined, Intl.DateTimeFormat>();
  return (at) => {
    const format = made.get(zone) ?? new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zone });
    made.set(zone, format);
    return format.format(at);
  };
}

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false } as const;
const clock = formatter(CLOCK);
const dayAndClock = formatter({ day: "2-digit", month: "short", ...CLOCK });
const day = formatter({ dateStyle: "short" });
const full = formatter({ dateStyle: "full", timeStyle: "long" });
const exactClock = formatter({ ...CLOCK, fractionalSecondDigits: 3 });

/** Returns the time of day with milliseconds, of a time as logs have it. A text that is none is returned. */
export function clockOf(written: string): string {
  const at = Date.parse(written);
  return Number.isNaN(at) ? written : exactClock(at);
}

/** Returns the time of day, with the date if it is not that of `now`. */
export function timeOfDay(at: number | null | undefined, now: number = Date.now()): string {
  if (at == null || !Number.isFinite(at)) return UNKNOWN;
  return day(at) === day(now) ? clock(at) : dayAndClock(at);
}

/** Returns date, time and zone. */
export function exactTime(at: number | null | undefined): string {
  return at == null || !Number.isFinite(at) ? UNKNOWN : full(at);
}

/** Returns a duration in its two largest units, such as `812 ms`, `4.1 s`, `3 min 20 s` or `3 d 4 h`. */
export function duration(ms: number | null | undefined): string {
  if (ms == null || !Number.isFinite(ms)) return UNKNOWN;
  if (ms < 0) return `-${duration(-ms)}`;
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < 10 * SECOND) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return pair(Math.floor(ms / MINUTE), "min", Math.floor((ms % MINUTE) / SECOND), "s");
  if (ms < DAY) return pair(Math.floor(ms / HOUR), "h", Math.floor((ms % HOUR) / MINUTE), "min");
  return pair(Math.floor(ms / DAY), "d", Math.floor((ms % DAY) / HOUR), "h");
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** Returns how long ago a time was, such as `just now`, `12 s ago` or `in 3 min`. */
export function age(at: number | null | undefined, now: number = Date.now()): string {
  if (at == null || !Number.isFinite(at)) return UNKNOWN;
  const passed = now - at;
  if (Math.abs(passed) < 2 * SECOND) return "just now";
  const text = coarse(Math.abs(passed));
  return passed > 0 ? `${text} ago` : `in ${text}`;
}

function coarse(ms: number): string {
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)} h`;
  return `${Math.floor(ms / DAY)} d`;
}

/** Returns the remaining time until a moment, or `null` once it has passed. */
export function remaining(until: number, now: number = Date.now()): string | null {
  return until <= now ? null : coarse(until - now);
}

/** Converts Unix seconds, as logins use them, to milliseconds. */
export function fromSeconds(seconds: number | null | undefined): number | null {
  return seconds == null ? null : seconds * SECOND;
}

/** Returns the value of an `<input type="datetime-local">`, in the chosen zone. */
export function toLocalInput(at: number | undefined): string {
  if (at === undefined) return "";
  const shifted = new Date(zone ? at : at - new Date(at).getTimezoneOffset() * MINUTE);
  return shifted.toISOString().slice(0, 16);
}

/** Returns the time of an `<input type="datetime-local">`, or `undefined` if it is empty or incomplete. */
export function fromLocalInput(text: string): number | undefined {
  if (text === "") return undefined;
  const at = new Date(zone ? `${text}Z` : text).getTime();
  return Number.isNaN(at) ? undefined : at;
}
