import { describe, expect, it } from "vitest";
import type { InFlightRequest } from "./in-flight";
import type { RequestRow } from "./queries";
import { type EndedRequest, filterOf, isListed, withOutcomes } from "./request-events";

const row = (request_id: string, status: string) =>
  ({ request_id, status, provider_id: null, response_summary: null }) as unknown as RequestRow;

const ended = (request_id: string, more: Partial<EndedRequest> = {}) =>
  ({
    request_id,
    status: "completed",
    provider_id: "echo",
    duration_ms: 12,
    prompt_tokens: 3,
    completion_tokens: null,
    error: null,
    ...more,
  }) as EndedRequest;

describe("requests that have ended", () => {
  it("give pending rows their outcome, and leave the others alone", () => {
    const rows = [row("a", "pending"), row("b", "pending"), row("c", "failed")];
    const [a, b, c] = withOutcomes(rows, [ended("a"), ended("c"), ended("x")]);
    expect([a!.status, a!.provider_id, a!.response_summary]).toEqual([
      "completed",
      "echo",
      { duration_ms: 12, error: null, total_tokens: 3 },
    ]);
    expect([b, c]).toEqual([rows[1], rows[2]]);
    expect(withOutcomes(rows, [ended("c")])).toBe(rows);
  });

  it("of unknown size have no tokens", () => {
    const [a] = withOutcomes([row("a", "pending")], [ended("a", { prompt_tokens: null, error: "no quota" })]);
    expect(a!.response_summary).toEqual({ duration_ms: 12, error: "no quota", total_tokens: null });
  });
});

describe("a list of requests", () => {
  it("subscribes with the filters that the server knows", () => {
    expect(filterOf({ q: "x", from: 1, provider: "echo", session: "s", stream: false, model: undefined })).toEqual({
      provider_id: "echo",
      session_id: "s",
      stream: false,
    });
  });

  it("counts what is in flight by all its filters", () => {
    const request = { model: "m", provider_id: "p", session_id: null, stream: true, timestamp: 5 } as InFlightRequest;
    const matching = [{}, { model: "m", provider: "p", stream: true, from: 5, to: 5 }, { status: "pending" }];
    const others = [
      { q: "m" },
      { status: "failed" },
      { model: "n" },
      { session: "s" },
      { stream: false },
      { from: 6 },
      { to: 4 },
    ];
    expect(matching.map((filters) => isListed(request, filters))).toEqual([true, true, true]);
    expect(others.filter((filters) => isListed(request, filters))).toEqual([]);
  });
});
