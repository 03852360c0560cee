/** The form of a model. Pure. */

import { capabilitiesFrom, capabilitiesOf } from "./capabilities";

export interface ModelTexts {
  name: string;
  description: string;
  /** With commas between them. */
  capabilities: string;
}

interface StoredModel {
  id: string;
  name: string;
  description?: string | null;
  capabilities?: string | null;
}

export function textsOf(model: StoredModel): ModelTexts {
  const { name, description, capabilities } = model;
  return { name, description: description ?? "", capabilities: capabilitiesOf(capabilities).join(", ") };
}

/** Returns the fields to send for a model of this id. */
export function bodyOf(id: string, { name, description, capabilities }: ModelTexts) {
  return {
    name: name.trim() || id.trim(),
    description: description.trim() || null,
    capabilities: capabilitiesFrom(capabilities),
  };
}

/** Returns the fields whose texts were edited; the others stay as they are stored. */
export function changesOf(model: StoredModel, texts: ModelTexts): Partial<ReturnType<typeof bodyOf>> {
  const [before, body] = [textsOf(model), bodyOf(model.id, texts)];
  const edited = Object.entries(body).filter(
    ([key]) => texts[key as keyof ModelTexts] !== before[key as keyof ModelTexts],
  );
  return Object.fromEntries(edited);
}
