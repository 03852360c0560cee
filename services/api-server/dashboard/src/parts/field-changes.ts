/** A field whose value differs. `null` stands for a missing one. */
export interface FieldChange {
  field: string;
  before: string | null;
  after: string | null;
}

/** Returns the fields in which two states differ, by name. */
export function fieldChanges(before: unknown, after: unknown): FieldChange[] {
  const [old, now] = [record(before), record(after)];
  return [...new Set([...Object.keys(old), ...Object.keys(now)])]
    .sort()
    .map((field) => ({ field, before: text(old, field), after: text(now, field) }))
    .filter((change) => change.before !== change.after);
}

function record(value: unknown): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  return value === null || value === undefined ? {} : { value };
}

function text(state: Record<string, unknown>, field: string): string | null {
  if (!(field in state)) return null;
  const value = state[field];
  return typeof value === "string" ? value : JSON.stringify(value);
}
