import { TurnReader, type TurnToRead } from "./turns";

/** Reads a body; one that is not kept, or is not JSON, is `null`. */
async function read(url: string): Promise<unknown> {
  const answer = await fetch(url);
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`The server answered with status ${answer.status}.`);
  return await answer.json().catch(() => null);
}

const reader = new TurnReader(read);

addEventListener("message", async ({ data: { id, turn } }: MessageEvent<{ id: number; turn: TurnToRead }>) => {
  try {
    postMessage({ id, turn: await reader.turn(turn) });
  } catch (error) {
    postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
});
