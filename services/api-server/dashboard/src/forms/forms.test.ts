import { describe, expect, it } from "vitest";
import { KEY, ROUTE } from "../api/forms";
import { countIn, documentOf, entryOf, isSameEntry, textAt, withoutSection, withText } from "./entry";
import { documentFor, numbers } from "./random";
import { boundsOf, type FormNode, isRequired, nodeAt, pathsIn, readable, unitOf } from "./schema";

const TARGET = nodeAt(ROUTE, "targets").items as FormNode;
const FORMS: [string, FormNode][] = [
  ["routes", ROUTE],
  ["targets", TARGET],
  ["keys", KEY],
];

/** Returns the paths of the fields that have inputs. */
const inputsOf = (form: FormNode) =>
  pathsIn(form).filter((path) => !nodeAt(form, path).properties && path !== "targets");

describe.each(FORMS)("the form of %s", (_, form) => {
  it("sends back every document that was not edited", () => {
    const next = numbers(1);
    for (let n = 0; n < 300; n += 1) {
      const document = documentFor(form, next);
      expect(documentOf(form, entryOf(document))).toEqual({ document, mistakes: [] });
    }
  });

  it("sends back every document whose texts were typed again", () => {
    const next = numbers(2);
    for (let n = 0; n < 100; n += 1) {
      const document = documentFor(form, next);
      let entry = entryOf(document);
      for (const path of inputsOf(form)) {
        const text = textAt(form, entry, path);
        entry = withText(form, withText(form, entry, path, "9"), path, text);
      }
      expect(isSameEntry(entry, entryOf(document))).toBe(true);
      expect(documentOf(form, entry).document).toEqual(document);
    }
  });

  it("changes the edited field, and no other", () => {
    const next = numbers(3);
    for (const path of inputsOf(form)) {
      const node = nodeAt(form, path);
      const text = { boolean: "true", object: '{"a":1}', time: "2030-01-01T00:00" }[node.type as string] ?? "7";
      for (let n = 0; n < 20; n += 1) {
        const document = documentFor(form, next);
        const entry = entryOf(document);
        const before = textAt(form, entry, path);
        const sent = documentOf(form, withText(form, entry, path, text)).document;
        const [name, ...rest] = path.split(".") as [string, ...string[]];
        const { [name]: after, ...others } = sent;
        const { [name]: stored, ...othersStored } = document;
        expect(others).toEqual(othersStored);
        // What is beside it in its section stays, too.
        if (rest.length === 1 && stored != null) {
          const { [rest[0]!]: _new, ...beside } = after as Record<string, unknown>;
          const { [rest[0]!]: _old, ...besideStored } = stored as Record<string, unknown>;
          expect(beside).toEqual(besideStored);
        }
        if (before !== text) expect(after).not.toEqual(stored);
      }
    }
  });

  it("has a description for every field of a section", () => {
    for (const path of pathsIn(form).filter((path) => path.includes(".")))
      expect(nodeAt(form, path).description, path).toMatch(/\.$/);
  });
});

describe("sections", () => {
  const stored = {
    limits: { rpm: 60, queue: { max_waiting: 5, timeout_ms: 100 } },
    hedge: null,
    model: "m",
    targets: [],
  };
  const entry = entryOf(stored);
  const set = (path: string, text: string, of = entry) => withText(ROUTE, of, path, text);
  const send = (of: typeof entry) => documentOf(ROUTE, of);

  it("keep what is beside an edited field", () => {
    expect(send(set("limits.rpm", "70")).document.limits).toEqual({ ...stored.limits, rpm: 70 });
    expect(send(set("limits.rpm", "")).document.limits).toEqual({ queue: stored.limits.queue });
  });

  it("are begun with their first field, and say what they need besides", () => {
    expect(send(set("hedge.quantile", "0.9")).mistakes).toEqual(["hedge.min_ms is required"]);
    const whole = set("hedge.min_ms", "200", set("hedge.quantile", "0.9"));
    expect(send(whole)).toEqual({ document: { ...stored, hedge: { quantile: 0.9, min_ms: 200 } }, mistakes: [] });
    expect(send(set("limits.queue.timeout_ms", "")).mistakes).toEqual(["limits.queue.timeout_ms is required"]);
  });

  it("are removed with their last field", () => {
    const emptied = set("limits.queue.timeout_ms", "", set("limits.queue.max_waiting", " "));
    expect(send(emptied)).toEqual({ document: { ...stored, limits: { rpm: 60 } }, mistakes: [] });
    expect(send(set("limits.rpm", "", emptied)).document).not.toHaveProperty("limits");
  });

  it("are removed as a whole, and begun anew", () => {
    const without = withoutSection(set("limits.queue.timeout_ms", "7"), "limits.queue");
    expect(send(without).document.limits).toEqual({ rpm: 60 });
    expect(textAt(ROUTE, without, "limits.queue.max_waiting")).toBe("");
    const anew = set("limits.queue.timeout_ms", "9", set("limits.queue.max_waiting", "5", without));
    expect(send(anew).document.limits).toEqual({ rpm: 60, queue: { max_waiting: 5, timeout_ms: 9 } });
    expect(send(set("limits.queue.max_waiting", "5", without)).mistakes).toEqual([
      "limits.queue.timeout_ms is required",
    ]);
    // One that was never stored leaves nothing behind.
    expect(withoutSection(set("mirror.percent", "5"), "mirror")).toEqual(entry);
  });

  it("count the fields that are set", () => {
    expect([countIn(ROUTE, entry, "limits"), countIn(ROUTE, entry, "limits.queue")]).toEqual([3, 2]);
    expect([countIn(ROUTE, entry, "hedge"), countIn(ROUTE, entry, "guard")]).toEqual([0, 0]);
    expect(countIn(ROUTE, set("guard.hook", "true"), "guard")).toBe(1);
  });
});

describe("texts", () => {
  const entry = entryOf({ name: "n" });
  const sent = (path: string, text: string) => documentOf(KEY, withText(KEY, entry, path, text)).document;

  it("that are the default of a field are no change", () => {
    expect(withText(KEY, entry, "strict", "false")).toEqual(entry);
    expect(sent("strict", "true")).toEqual({ name: "n", strict: true });
    const strict = entryOf({ name: "n", strict: true });
    expect(documentOf(KEY, withText(KEY, strict, "strict", "false")).document).toEqual({ name: "n", strict: false });
  });

  it("are lists by lines and commas", () => {
    expect(sent("tags", "a, b\na\n\n").tags).toEqual(["a", "b"]);
    expect(sent("tags", " , ")).toEqual({ name: "n" });
  });

  it("that are no numbers are left to the server", () => {
    expect(sent("limits.rpm", "many").limits).toEqual({ rpm: "many" });
    expect(sent("limits.rpm", " 12 ").limits).toEqual({ rpm: 12 });
  });
});

describe("words about fields", () => {
  it("name units and bounds", () => {
    expect(["cache.ttl_ms", "guard.max_request_bytes", "limits.rpm"].map(unitOf)).toEqual([
      "milliseconds",
      "bytes",
      null,
    ]);
    expect(boundsOf("cache.ttl_ms", nodeAt(ROUTE, "cache.ttl_ms"))).toBe("Up to 30 d.");
    expect(boundsOf("hedge.quantile", nodeAt(ROUTE, "hedge.quantile"))).toBe("0.5 to 0.999.");
    expect(boundsOf("mirror.percent", nodeAt(ROUTE, "mirror.percent"))).toBe("More than 0, up to 100.");
    expect(boundsOf("model", nodeAt(ROUTE, "model"))).toBe("");
  });

  it("make large numbers readable", () => {
    expect([readable("cache.ttl_ms", "7200000"), readable("guard.max_request_bytes", "2000000")]).toEqual([
      "2 h",
      "2 MB",
    ]);
    expect([readable("cache.ttl_ms", "500"), readable("cache.ttl_ms", ""), readable("limits.rpm", "5000")]).toEqual([
      null,
      null,
      null,
    ]);
  });

  it("know what is required", () => {
    expect(["model", "cache.ttl_ms", "cache.scope", "limits"].map((path) => isRequired(ROUTE, path))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(() => nodeAt(ROUTE, "cache.none")).toThrow("cache.none");
  });
});
