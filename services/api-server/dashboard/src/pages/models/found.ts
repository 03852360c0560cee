/** The search among models: the server has none by text. Pure. */

import type { ListedModel } from "../../api/model-list";
import { capabilitiesOf } from "./capabilities";

/** Returns the models whose names and descriptions have all words. */
export function foundIn<T extends Pick<ListedModel, "id" | "name" | "description">>(
  models: readonly T[],
  text: string,
): T[] {
  const words = text.toLowerCase().split(/\s+/);
  return models.filter(({ id, name, description }) => {
    const searched = `${id} ${name} ${description}`.toLowerCase();
    return words.every((word) => searched.includes(word));
  });
}

/** Returns the capabilities to choose from: those of the models that were read, of earlier ones, and the chosen one. */
export function choicesOf(
  models: readonly Pick<ListedModel, "capabilities">[],
  earlier: readonly string[],
  chosen: string | undefined,
): string[] {
  const read = models.flatMap(({ capabilities }) => capabilitiesOf(capabilities));
  return [...new Set([...earlier, ...read, ...(chosen === undefined ? [] : [chosen])])].sort();
}
