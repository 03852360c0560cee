/** The path below which the console is served: `/`, or that of a reverse proxy, such as `/signalbox/`. */

/** Returns the path of a console whose modules are in `assets` below it, from the address of one of them. */
export function baseFrom(module: string): string {
  return new URL(module).pathname.match(/^(.*\/)assets\/[^/]+\.js$/)?.[1] ?? "/";
}

export const BASE = baseFrom(import.meta.url);

/** Returns the address of a path of the server, such as `/api/about`. */
export function address(path: string): string {
  return BASE.slice(0, -1) + path;
}
