/** What a pasted login contains. Pure: nothing of it is stored in the browser. */

export interface Pasted {
  token: string | null;
  cookies: string;
  /** Expiry in the token, in Unix seconds. */
  expiresAt: number | null;
  mistake: string | null;
}

/** Reads a `Cookie` header, with or without its name, as browsers show it. */
export function readCookies(text: string): Pasted {
  const cookies = text
    .replace(/^\s*cookie:\s*/i, "")
    .replace(/\s+/g, " ")
    .trim();
  const values = new Map(
    cookies.split(";").map((pair) => {
      const at = pair.indexOf("=");
      return [pair.slice(0, Math.max(0, at)).trim(), pair.slice(at + 1).trim()] as const;
    }),
  );
  const token = values.get("token") ?? null;
  const none = { token, cookies, expiresAt: null };
  if (cookies === "") return { ...none, mistake: null };
  if (!cookies.includes("=")) return { ...none, mistake: "This is not a Cookie header: it has no name=value pairs." };
  if (!token)
    return { ...none, mistake: "The cookie named token is missing. Copy the whole header while you are logged in." };
  return { token, cookies, expiresAt: expiryOf(token), mistake: null };
}

/** Returns the expiry in a JSON web token, in Unix seconds. */
export function expiryOf(token: string): number | null {
  try {
    const payload = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const claims: unknown = JSON.parse(atob(payload));
    const { exp } = claims as { exp?: unknown };
    return typeof exp === "number" && Number.isFinite(exp) ? exp : null;
  } catch {
    return null;
  }
}

export type Validity = "ok" | "soon" | "expired";

/** Seconds before the expiry at which a login is shown as ending soon: three days. */
const SOON = 3 * 24 * 3600;

export function validityOf(expiresAt: number | null | undefined, nowMs: number): Validity {
  if (expiresAt == null) return "ok";
  const left = expiresAt - nowMs / 1000;
  if (left <= 0) return "expired";
  return left < SOON ? "soon" : "ok";
}
