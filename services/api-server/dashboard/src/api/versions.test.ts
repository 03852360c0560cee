import { describe, expect, it } from "vitest";
import { ifMatch, versioned } from "./versions";

describe("versions", () => {
  it("are read from the header, and sent with the change", async () => {
    const response = new Response("{}", { headers: { etag: '"7"' } });
    const got = await versioned<{ id: string }>(Promise.resolve({ data: { id: "a" }, response }));
    expect(got).toEqual({ id: "a", etag: '"7"' });
    expect(ifMatch(got.etag)).toEqual({ "if-match": '"7"' });
  });

  it("are left out for a server that tells none", async () => {
    const got = await versioned<{ id: string }>(Promise.resolve({ data: { id: "a" }, response: new Response("{}") }));
    expect([got.etag, ifMatch(got.etag), ifMatch(undefined)]).toEqual([null, {}, {}]);
  });

  it("that are not the present ones are a conflict", async () => {
    const refused = versioned(
      Promise.resolve({ error: { error: { message: "changed" } }, response: new Response("", { status: 412 }) }),
    );
    await expect(refused).rejects.toMatchObject({ isConflict: true, message: "changed" });
  });
});
