// Compresses a built console, and writes its manifest. Without `--compress`, the compressed files are left out, as in
// the copy under version control.
//
//   node tools/manifest.mjs DIRECTORY [--compress]      node tools/manifest.mjs --digest
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Files smaller than this do not gain from compression. */
const MIN_COMPRESSED = 512;

/** Returns all files below a directory, with `/` in their names, in the order of their bytes. */
function list(directory) {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, resolve(entry.parentPath ?? entry.path, entry.name)).replaceAll(sep, "/"));
}

/** The hash function FNV-1a, as in build.rs. */
class Fnv {
  #high = 0xcbf29ce4;
  #low = 0x84222325;

  add(bytes) {
    let [high, low] = [this.#high, this.#low];
    for (const byte of bytes) {
      low = (low ^ byte) >>> 0;
      // Times 0x100000001b3, in two halves of 32 bits.
      const product = low * 0x1b3;
      high = (Math.imul(high, 0x1b3) + Math.floor(product / 0x100000000) + (low << 8)) >>> 0;
      low = product >>> 0;
    }
    [this.#high, this.#low] = [high, low];
  }

  text() {
    return this.#high.toString(16).padStart(8, "0") + this.#low.toString(16).padStart(8, "0");
  }
}

export function digestOfSources() {
  const names = [
    ...list(join(root, "src")),
    ...list(join(root, "public")),
    ...["index.html", "package-lock.json", "tsconfig.json", "vite.config.ts"],
  ].filter((name) => !name.includes(".test."));
  names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const digest = new Fnv();
  for (const name of names) {
    digest.add(Buffer.from(name));
    digest.add([0]);
    digest.add(readFileSync(join(root, name)).filter((byte) => byte !== 13));
    digest.add([0]);
  }
  return digest.text();
}

function write(directory, compressed) {
  const files = {};
  for (const name of list(directory)) {
    const path = join(root, name);
    if (/\.(gz|br)$|manifest\.json$/.test(name)) {
      rmSync(path);
      continue;
    }
    const content = readFileSync(path);
    const digest = new Fnv();
    digest.add(content);
    files[relative(directory, path).replaceAll(sep, "/")] = digest.text();
    if (compressed && content.length >= MIN_COMPRESSED && !/\.png$/.test(name)) {
      writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
      writeFileSync(`${path}.br`, brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
    }
  }
  const sorted = Object.fromEntries(Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1)));
  const manifest = { sources: digestOfSources(), files: sorted };
  writeFileSync(join(directory, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

const [directory, option] = process.argv.slice(2);
if (directory === "--digest") console.log(digestOfSources());
else write(resolve(directory), option === "--compress");
