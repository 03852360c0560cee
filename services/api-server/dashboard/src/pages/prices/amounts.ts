/** Amounts and ratios of price documents as they are typed. Pure. */

/** Decimal places of a million tokens in pico-dollars per token, and of a unit in nano-dollars. */
const PLACES = { token: 6, unit: 9 } as const;

/**
 * Returns an amount in dollars as text. In documents it is a text, or a whole number: of pico-dollars per token, or of
 * nano-dollars per unit.
 */
export function typedAmount(stored: unknown, per: keyof typeof PLACES): unknown {
  if (typeof stored !== "number" || !Number.isSafeInteger(stored) || stored < 0) return stored;
  const places = PLACES[per];
  const digits = String(stored).padStart(places + 1, "0");
  const part = digits.slice(-places).replace(/0+$/, "");
  return digits.slice(0, -places) + (part === "" ? "" : `.${part}`);
}

/** Returns a typed amount as documents have it. What is no amount is left to the server to refuse. */
export function sentAmount(typed: unknown): unknown {
  return typeof typed === "string" ? typed.trim().replace(/^\$\s*/, "") : typed;
}

/** Returns a ratio, such as `[1, 2]`, as text. */
export function typedRatio(stored: unknown): unknown {
  return Array.isArray(stored) && stored.length === 2 ? stored.join("/") : stored;
}

/** Reads `1/2`, `0.5` or `2`. What is no ratio is left to the server to refuse. */
export function sentRatio(typed: unknown): unknown {
  if (typeof typed !== "string") return typed;
  const [, above, below] = typed.trim().match(/^(\d{1,6})\s*\/\s*(\d{1,6})$/) ?? [];
  if (above !== undefined && below !== undefined) return [Number(above), Number(below)];
  const [, whole, part = ""] = typed.trim().match(/^(\d{1,5})(?:[.,](\d{1,4}))?$/) ?? [];
  if (whole === undefined) return typed;
  const scale = 10 ** part.length;
  const value = Number(whole + part);
  const common = greatest(value, scale);
  return [value / common, scale / common];
}

function greatest(a: number, b: number): number {
  return b === 0 ? Math.max(1, a) : greatest(b, a % b);
}
