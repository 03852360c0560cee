import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const source = fileURLToPath(new URL("..", import.meta.url));

/** Matches imports that exist at run time, those of pages that are loaded later included. */
const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s(?!type\s)[^;]*?from\s+"(\.[^"]+)"|import\("(\.[^"]+)"\)|\n\s*import\s+"(\.[^"]+)"/g;

function modules(): Map<string, string[]> {
  const files = readdirSync(source, { recursive: true })
    .map(String)
    .filter((name) => /\.tsx?$/.test(name) && !/\.(test|d)\.tsx?$/.test(name));
  return new Map(files.map((name) => [name, importsOf(name)]));
}

function importsOf(name: string): string[] {
  const text = readFileSync(join(source, name), "utf8");
  return [...text.matchAll(IMPORT)].flatMap((match) => {
    const path = resolve(source, dirname(name), match[1] ?? match[2] ?? match[3] ?? "");
    const file = [".ts", ".tsx"].map((ending) => path + ending).find(existsSync);
    return file === undefined ? [] : [relative(source, file)];
  });
}

/** Returns the modules of one circle of imports, or `null` if there is none. */
function circleIn(all: Map<string, string[]>): string[] | null {
  const done = new Set<string>();
  const visit = (name: string, path: string[]): string[] | null => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    if (done.has(name)) return null;
    for (const imported of all.get(name) ?? []) {
      const circle = visit(imported, [...path, name]);
      if (circle) return circle;
    }
    done.add(name);
    return null;
  };
  for (const name of all.keys()) {
    const circle = visit(name, []);
    if (circle) return circle;
  }
  return null;
}

describe("imports", () => {
  it("have no circle", () => {
    const all = modules();
    expect(all.get("app/routes.tsx")).toContain("pages/requests/detail.tsx");
    expect(circleIn(all)).toBeNull();
  });

  it("with a circle are found", () => {
    const all = new Map([
      ["a", ["b", "c"]],
      ["b", []],
      ["c", ["b", "d"]],
      ["d", ["c"]],
    ]);
    expect(circleIn(all)).toEqual(["c", "d", "c"]);
  });
});
