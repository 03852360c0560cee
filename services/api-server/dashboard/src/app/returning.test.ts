import { describe, expect, it } from "vitest";
import { moved, type Place } from "./returning";

const address = (pathname: string, at: number, searchStr = "") => ({ pathname, searchStr, state: { __TSR_index: at } });
const now = () => ({ scroll: 40, row: "/providers/a" });
const list: Place = { path: "/providers", search: "?q=x", at: 2, ...now() };

describe("a list that is left", () => {
  it("is remembered while its pages are shown", () => {
    const opened = moved(null, address("/providers", 2, "?q=x"), address("/providers/a", 3), now);
    expect(opened).toEqual({ left: list, place: null });
    expect(moved(list, address("/providers/a", 3), address("/providers/b", 4), now).left).toBe(list);
  });

  it("is returned to as it was", () => {
    const from = address("/providers/a/edit", 3);
    expect(moved(list, from, address("/providers", 2, "?q=x"), now)).toEqual({ left: list, place: list });
    expect(moved(list, from, address("/providers", 4), now)).toEqual({ left: list, place: list });
  });

  it("is forgotten for another list", () => {
    const from = address("/providers/a", 3);
    expect(moved(list, from, address("/providers", 4, "?q=y"), now).place).toBeNull();
    expect(moved(list, from, address("/models", 4), now)).toEqual({ left: null, place: null });
    expect(moved(list, address("/models", 4), address("/providers", 5), now)).toEqual({ left: null, place: null });
  });

  it("is no page whose path only begins alike", () => {
    expect(moved(null, address("/models", 1), address("/models-of-others", 2), now).left).toBeNull();
    expect(moved(null, address("/", 1), address("/requests/x", 2), now).left).toBeNull();
  });
});
