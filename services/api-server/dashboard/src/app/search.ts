/** Reading of typed values from the query of an address. Whatever is not understood is left out. */

type Raw = Record<string, unknown>;

/** Returns a text, also if it looks like a number. */
export function textParam(raw: Raw, name: string): string | undefined {
  const value = raw[name];
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}

export function numberParam(raw: Raw, name: string): number | undefined {
  const value = typeof raw[name] === "string" && raw[name] !== "" ? Number(raw[name]) : raw[name];
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

export function flagParam(raw: Raw, name: string): boolean | undefined {
  const value = raw[name];
  if (value === true || value === "true") return true;
  return value === false || value === "false" ? false : undefined;
}

export function wordParam<T extends string>(raw: Raw, name: string, words: readonly T[]): T | undefined {
  return words.find((word) => word === raw[name]);
}
