import { describe, expect, it } from "vitest";
import { type AuditEntry, auditParameters, auditRange } from "../../api/audit";
import { auditSearch } from "./search";
import { changeWords, RESOURCES } from "./words";

describe("the filters of the log of changes", () => {
  it("are in the address, as far as they are understood", () => {
    expect(auditSearch({ request: "r1", range: "7d", from: "soon", resource: "route" })).toMatchObject({
      request: "r1",
      range: "7d",
      from: undefined,
      resource: "route",
    });
    expect(auditSearch({ range: "2y" }).range).toBeUndefined();
  });

  it("are sent under the names of the API", () => {
    expect(auditParameters({ id: "fast", request: "r1", range: "1h" }, 7_200_000)).toMatchObject({
      resource_id: "fast",
      request_id: "r1",
      start_date: 3_600_000,
      end_date: undefined,
    });
    expect(auditParameters({ from: 5, to: 9 }, 0)).toMatchObject({ start_date: 5, end_date: 9 });
    expect(auditParameters({}, 9)).toMatchObject({ start_date: undefined, end_date: undefined });
  });

  it("mean any time, unless one is chosen", () => {
    expect([auditRange({}), auditRange({ range: "24h" }), auditRange({ from: 1 }), auditRange({ to: 1 })]).toEqual([
      "any",
      "24h",
      undefined,
      undefined,
    ]);
  });
});

describe("a change", () => {
  const words = (entry: Partial<AuditEntry>) =>
    changeWords({ action: "updated", resource_id: "x", ...entry } as AuditEntry);

  it("is told in words", () => {
    expect(words({ resource: "key", after: { name: "ci" } })).toEqual(["client key", "ci", "updated"]);
    expect(words({ resource: "route", before: { model: "fast" }, after: null })).toEqual(["route", "fast", "updated"]);
    expect(words({ resource: "key", after: "odd" })).toEqual(["client key", "x", "updated"]);
    expect(words({ resource: "new_thing" })).toEqual(["new_thing", "x", "updated"]);
    expect(words({ resource: "request", action: "POST", resource_id: "/api/proxy/stop" })).toEqual([
      "POST",
      "/api/proxy/stop",
      "",
    ]);
  });

  it("is about the things that the server writes", () => {
    expect(Object.keys(RESOURCES).sort()).toEqual([
      "credential",
      "key",
      "model",
      "prices",
      "provider",
      "provider_config",
      "provider_model",
      "request",
      "route",
      "setting",
    ]);
  });
});
