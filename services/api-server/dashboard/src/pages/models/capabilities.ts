/** Returns the capabilities of a model, which the API sends as JSON in a text. */
export function capabilitiesOf(text: string | null | undefined): string[] {
  try {
    const value: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : [];
  } catch {
    return [];
  }
}

/** Returns the capabilities in a text of words and commas. */
export function capabilitiesFrom(text: string): string[] {
  return [...new Set(text.split(/[\s,]+/).filter((word) => word !== ""))];
}
