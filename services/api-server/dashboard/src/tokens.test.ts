import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const css = readFileSync("src/tokens.css", "utf8");

function colours(theme: 0 | 1): Record<string, string> {
  return Object.fromEntries(
    [...css.matchAll(/--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g)].map((match) => [
      match[1]!,
      match[2 + theme]!,
    ]),
  );
}

function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

describe.each([
  ["light", 0],
  ["dark", 1],
] as const)("the %s theme", (_, theme) => {
  const of = colours(theme);
  const grounds = ["page", "surface", "raised", "sunken"];

  it.each(["text", "muted", "faint", "accent", "ok", "warn", "bad"])("has readable %s on every ground", (name) => {
    for (const ground of grounds)
      expect(contrast(of[name]!, of[ground]!), `${name} on ${ground}`).toBeGreaterThanOrEqual(4.5);
  });

  it("has readable text on colours", () => {
    for (const name of ["ok", "warn", "bad"])
      expect(contrast(of[name]!, of[`${name}-tint`]!), name).toBeGreaterThanOrEqual(4.5);
    expect(contrast(of["on-accent"]!, of.accent!)).toBeGreaterThanOrEqual(4.5);
    for (const name of ["text", "muted"]) expect(contrast(of[name]!, of.selected!), name).toBeGreaterThanOrEqual(4.5);
  });

  it("has visible controls", () => {
    for (const ground of grounds) expect(contrast(of.border!, of[ground]!), ground).toBeGreaterThanOrEqual(3);
  });
});
