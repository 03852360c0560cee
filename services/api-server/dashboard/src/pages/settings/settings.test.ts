import { describe, expect, it, vi } from "vitest";
import { api } from "../../api/client";
import { writeSetting } from "../../api/settings";

/** Answers of the server to any request, in their order. Returns the requests with the versions that they are for. */
function answering(...answers: Response[]): [method: string, version: string | undefined][] {
  const asked: [string, string | undefined][] = [];
  for (const method of ["GET", "PUT", "DELETE"] as const) {
    vi.spyOn(api, method).mockImplementation((async (_: string, init: { headers?: Record<string, string> }) => {
      asked.push([method, init.headers?.["if-match"]]);
      const response = answers.shift()!;
      return { response, data: await response.json() };
    }) as never);
  }
  return asked;
}

const stored = (value: unknown) => Response.json({ key: "server.port", value }, { headers: { etag: '"7-a"' } });
const written = () => Response.json({ requiresRestart: true });

describe("a setting", () => {
  it("is written over the version that was seen", async () => {
    const asked = answering(stored(3001), written());
    expect(await writeSetting("server.port", 3005, { value: 3001, etag: null })).toEqual({ requiresRestart: true });
    expect(asked).toEqual([
      ["GET", undefined],
      ["PUT", '"7-a"'],
    ]);
  });

  it("is not written over another value", async () => {
    const asked = answering(stored(3009));
    await expect(writeSetting("server.port", 3005, { value: 3001, etag: null })).rejects.toMatchObject({
      isConflict: true,
    });
    expect(asked).toEqual([["GET", undefined]]);
  });

  it("is reset, and written where there was none", async () => {
    const asked = answering(written(), Response.json({ error: "none" }, { status: 404 }), written());
    await writeSetting("server.port", undefined, { value: 3001, etag: '"7-a"' });
    await writeSetting("my.key", "x", { value: undefined, etag: null });
    expect(asked).toEqual([
      ["DELETE", '"7-a"'],
      ["GET", undefined],
      ["PUT", '"0"'],
    ]);
  });
});
