// @vitest-environment jsdom
import { act, renderHook } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { readDraft, useDraft, writeDraft } from "./draft";

interface Form {
  name: string;
  tags: string[];
  secret: string | null;
}

const EMPTY: Form = { name: "", tags: [], secret: null };
const kept = (draft: Form) => (draft.name === "" ? null : { ...draft, secret: null });
const open = (version = "1") => renderHook(() => useDraft({ name: "key.new", initial: EMPTY, version, kept }));

beforeEach(() => sessionStorage.clear());

describe("a draft", () => {
  it("survives a reload, without its secrets", () => {
    const before = open();
    expect(before.result.current.restoring).toBe("none");
    act(() => before.result.current.setDraft({ name: "ci", tags: ["a"], secret: "sk-canary" }));
    before.unmount();
    expect(JSON.stringify({ ...sessionStorage })).not.toContain("canary");
    const { restoring, draft } = open().result.current;
    expect([restoring, draft]).toEqual(["restored", { name: "ci", tags: ["a"], secret: null }]);
  });

  it("is outdated if what it changes has another version since, and stays so until it is discarded", () => {
    const before = open("1");
    act(() => before.result.current.setDraft({ ...EMPTY, name: "ci" }));
    before.unmount();
    const second = open("2");
    expect(second.result.current.restoring).toBe("outdated");
    second.unmount();
    const third = open("2");
    expect(third.result.current.restoring).toBe("outdated");
    act(() => third.result.current.discard());
    expect([third.result.current.restoring, third.result.current.draft]).toEqual(["none", EMPTY]);
    expect(readDraft("key.new", EMPTY)).toBeNull();
  });

  it("is not stored while it is as it was in the beginning", () => {
    const { result } = open();
    act(() => result.current.setDraft({ ...EMPTY, name: "ci" }));
    act(() => result.current.setDraft(EMPTY));
    expect(sessionStorage.length).toBe(0);
  });

  it("of another shape is left alone", () => {
    for (const stored of ["?", "1", '{"draft":[]}', '{"draft":{"name":1,"tags":[],"secret":null}}']) {
      sessionStorage.setItem("signalbox.draft.key.new", stored);
      expect(readDraft("key.new", EMPTY), stored).toBeNull();
    }
  });

  it("needs no storage", () => {
    vi.spyOn(Storage.prototype, "setItem").mockImplementation(() => {
      throw new Error("forbidden");
    });
    vi.spyOn(Storage.prototype, "getItem").mockImplementation(() => {
      throw new Error("forbidden");
    });
    expect(() => writeDraft("key.new", EMPTY)).not.toThrow();
    expect(readDraft("key.new", EMPTY)).toBeNull();
  });
});
