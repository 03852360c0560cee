import { describe, expect, it } from "vitest";
import type { InFlightRequest } from "./in-flight";
import { type EndedRequest, filterOf, withOutcomes } from "./request-events";
import { isListed, type RequestRow } from "./request-list";

const row = (request_id: string, status: string) =>
  ({ request_id, status, provider_id: null }) as unknown as RequestRow;

const ended = (request_id: string, more: Partial<EndedRequest> = {}) =>
  ({
    request_id,
    status: "completed",
    provider_id: "echo",
    duration_ms: 12,
    prompt_tokens: 3,
    completion_tokens: null,
    first_byte_ms: 5,
    attempts: 2,
    error: null,
    ...more,
  }) as EndedRequest;

describe("requests that have ended", () => {
  it("give pending rows their outcome, and leave the others alone", () => {
    const rows = [row("a", "pending"), row("b", "pending"), row("c", "failed")];
    const [a, b, c] = withOutcomes(rows, [ended("a"), ended("c"), ended("x")]);
    expect(a).toEqual({
      request_id: "a",
      status: "completed",
      provider_id: "echo",
      duration_ms: 12,
      first_byte_ms: 5,
      attempts: 2,
      prompt_tokens: 3,
      completion_tokens: null,
      total_tokens: 3,
      error: null,
    });
    expect([b, c]).toEqual([rows[1], rows[2]]);
    expect(withOutcomes(rows, [ended("c")])).toBe(rows);
  });

  it("of unknown size have no tokens", () => {
    const [a] = withOutcomes([row("a", "pending")], [ended("a", { prompt_tokens: null, error: "no quota" })]);
    expect(a).toMatchObject({ duration_ms: 12, error: "no quota", total_tokens: null });
  });
});

describe("a list of requests", () => {
  it("subscribes with the filters that the server knows", () => {
    const filters = { q: "x", error: "quota", from: 1, provider: ["echo", "groq"], session: "s", stream: false };
    expect(filterOf({ ...filters, key: "k", min_ms: 5, model: undefined })).toEqual({
      provider_id: ["echo", "groq"],
      session_id: "s",
      stream: false,
      key: "k",
      min_ms: 5,
    });
  });

  it("counts what is in flight by all its filters", () => {
    const timestamp = Date.now();
    const request = { model: "m", provider_id: "p", session_id: null, stream: true, timestamp } as InFlightRequest;
    const now = { from: timestamp, to: timestamp };
    const matching = [
      {},
      { model: ["m", "n"], provider: "p", stream: true, ...now },
      { status: ["failed", "pending"] },
    ];
    const others = [
      { q: "m" },
      { status: "failed" },
      { model: "n" },
      { session: "s" },
      { stream: false },
      { has_error: true },
      { min_ms: 1 },
      { key: "k" },
      { from: timestamp + 1 },
      { to: timestamp - 1 },
    ];
    expect(matching.map((filters) => isListed(request, filters))).toEqual([true, true, true]);
    expect(others.filter((filters) => isListed(request, filters))).toEqual([]);
  });
});
