// Checks the sizes of a built console: what the first page loads, what each further page adds, and the sum.
//
//   node tools/budget.mjs DIRECTORY
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const KIB = 1024;
/** Script and style of the first page, gzipped. */
const FIRST = 160 * KIB;
/** One further file, gzipped. */
const LAZY = 60 * KIB;
/** Everything, gzipped. */
const ALL = 450 * KIB;

const directory = process.argv[2];
const size = (name) => gzipSync(readFileSync(join(directory, name)), { level: 9 }).length;
const html = readFileSync(join(directory, "index.html"), "utf8");
const assets = readdirSync(join(directory, "assets")).filter((name) => /\.(js|css)$/.test(name));
const named = new Set([...html.matchAll(/(?:src|href)="\/assets\/([^"]+\.(?:js|css))"/g)].map((match) => match[1]));
// The first page is a part of its own, which only this question of its identifies.
const overview = assets.filter((name) =>
  readFileSync(join(directory, "assets", name), "utf8").includes("Stop both services?"),
);
for (const name of overview) named.add(name);
// Whatever these import statically is loaded with them.
for (const name of named) {
  if (!name.endsWith(".js")) continue;
  const text = readFileSync(join(directory, "assets", name), "utf8");
  for (const [, imported] of text.matchAll(/(?:from|import)\s*["']\.\/([^"']+\.js)["']/g)) named.add(imported);
}
const sizes = assets.map((name) => [name, size(`assets/${name}`)]).sort((a, b) => b[1] - a[1]);
const sum = (list) => list.reduce((total, [, bytes]) => total + bytes, 0);
const first = sum(sizes.filter(([name]) => named.has(name)));
const lazy = sizes.filter(([name]) => !named.has(name));
const kib = (bytes) => `${(bytes / KIB).toFixed(1)} KiB`;
console.log(
  `first page ${kib(first)} of ${kib(FIRST)}; largest other file ${lazy[0]?.[0]} ${kib(lazy[0]?.[1] ?? 0)} of ${kib(LAZY)}; all ${kib(sum(sizes))} of ${kib(ALL)}`,
);
const mistakes = [];
if (overview.length !== 1) mistakes.push(`${overview.length} files look like the first page`);
if (first > FIRST) mistakes.push(`the first page is ${kib(first - FIRST)} too large`);
for (const [name, bytes] of lazy) if (bytes > LAZY) mistakes.push(`${name} is ${kib(bytes - LAZY)} too large`);
if (sum(sizes) > ALL) mistakes.push(`all files together are ${kib(sum(sizes) - ALL)} too large`);
if (readdirSync(directory, { recursive: true }).some((name) => String(name).endsWith(".map")))
  mistakes.push("source maps do not belong into the program");
for (const mistake of mistakes) console.error(mistake);
process.exit(mistakes.length > 0 ? 1 : 0);
