// Every page, as it looks: screenshots in both themes and three widths, and what axe-core and the layout have to say.
import assert from "node:assert/strict";
import { join } from "node:path";
import { expecting, open, settled } from "./browser.mjs";

/** Returns the address of every page, with something to show on each. */
async function addresses(server) {
  const get = async (path) => (await fetch(server.url + path)).json();
  const { requests } = await get("/api/requests?limit=50");
  const withTools = requests.find((one) => one.openai_request?.tools) ?? requests[0];
  const failed = requests.find((one) => one.status === "failed") ?? requests[0];
  const answered = requests.find((one) => one.status === "completed" && one.request_id !== withTools.request_id) ?? withTools;
  const { id: route } = (await get("/api/routes")).routes[0];
  const sessions = (await get("/api/sessions?limit=50")).sessions;
  const session = sessions.sort((a, b) => b.request_count - a.request_count)[0].id;
  return {
    overview: "/", live: "/live", "live-by-model": "/live?by=model&range=24h", requests: "/requests",
    "requests-none": "/requests?status=interrupted", request: `/requests/${withTools.request_id}`,
    "request-usage": `/requests/${withTools.request_id}?tab=usage`, "request-tools": `/requests/${withTools.request_id}?tab=tools`,
    "request-timing": `/requests/${failed.request_id}?tab=timing`, "request-explain": `/requests/${failed.request_id}?tab=explain`,
    "request-find": `/requests/${withTools.request_id}?find=parser`, replay: `/requests/${withTools.request_id}/replay`,
    "replay-compared": `/requests/${withTools.request_id}/replay?with=${answered.request_id}`,
    "request-raw": `/requests/${withTools.request_id}?tab=raw`,
    "request-failed": `/requests/${failed.request_id}`, "request-missing": "/requests/none", sessions: "/sessions",
    session: `/sessions/${session}`, usage: "/usage?range=24h", "usage-by-model": "/usage?by=model&show=requests",
    playground: "/playground", "playground-two": "/playground?a=echo&b=fast", providers: "/providers", "provider-types": "/providers/new",
    "provider-new": "/providers/new?type=openai", provider: "/providers/second-echo", models: "/models", model: "/models/echo",
    routes: "/routes", "route-new": "/routes/new", route: `/routes/${route}`, keys: "/keys", "key-new": "/keys/new", prices: "/prices",
    qwen: "/qwen", logs: "/logs", audit: "/audit", config: "/config", settings: "/settings", doctor: "/doctor", connect: "/connect",
    "not-found": "/no/such/page",
  };
}

/** Pages that a new installation shows before anything has happened. */
const EMPTY = {
  "empty-overview": "/", "empty-live": "/live", "empty-requests": "/requests", "empty-sessions": "/sessions", "empty-usage": "/usage",
  "empty-keys": "/keys", "empty-routes": "/routes", "empty-audit": "/audit?action=none",
};

/** What is shown over pages, and how it is opened. */
const OVERLAYS = {
  "over-palette": ["/", (page) => page.keyboard.press("Control+k")],
  "over-shortcuts": ["/", (page) => page.keyboard.press("?")],
  "over-question": ["/providers/second-echo", (page) => page.getByRole("button", { name: "Delete" }).first().click()],
  "over-menu": ["/providers", (page) => page.getByRole("button", { name: "Actions for Echo" }).click()],
};

/** Tallest screenshot in pixels. */
const TALLEST = 2_600;
const HEIGHT = 844;

/** Makes the window as tall as the page, so that one picture shows all of it. */
async function stretch(page, width) {
  const rest = await page.evaluate(() => {
    const main = document.getElementById("main");
    return main ? main.scrollHeight - main.clientHeight : 0;
  });
  if (rest > 0) await page.setViewportSize({ width, height: Math.min(TALLEST, HEIGHT + rest) });
}

/** Returns what reaches out of the window, or out of its own box without a way to scroll there. */
function overflowing() {
  const over = document.documentElement.scrollWidth - innerWidth;
  const main = document.getElementById("main");
  const found = over > 0 ? [`the page is ${over} pixels too wide`] : [];
  if (main && main.scrollWidth > main.clientWidth) found.push(`#main is ${main.scrollWidth - main.clientWidth} pixels too wide`);
  for (const element of document.querySelectorAll("button, a, label, h1, h2, h3, dt, dd, th")) {
    const { width, right, left } = element.getBoundingClientRect();
    if (width === 0 || element.closest("[popover], .visually-hidden, pre, [aria-hidden=true]")) continue;
    let box = element.parentElement;
    while (box && !/auto|scroll/.test(getComputedStyle(box).overflowX)) box = box.parentElement;
    if (box && box.id !== "main") continue;
    if (right > innerWidth + 1 || left < -1) found.push(`"${element.textContent.trim().slice(0, 40)}" reaches out of the window`);
  }
  return found.slice(0, 5);
}

class Looker {
  constructor(server, shots, axe, findings) {
    Object.assign(this, { server, shots, axe, findings });
  }

  report(finding) {
    if (!this.findings.has(finding)) console.log(`     ${finding}`);
    this.findings.add(finding);
  }

  /** Looks at what a page shows, at one width. */
  async look(page, name, width, { whole }) {
    await page.setViewportSize({ width, height: HEIGHT });
    if (whole) await stretch(page, width);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.screenshot({ path: join(this.shots, `${name}-${width}-${colorScheme}.png`) });
      // Themes differ by their colours only, and those are the same at every width.
      if (width === 1280 || (width === 390 && colorScheme === "light"))
        await this.check(page, `${name}-${width}-${colorScheme}`, colorScheme === "dark");
    }
    for (const what of await page.evaluate(overflowing)) this.report(`${name}-${width}: ${what}`);
  }

  async check(page, name, coloursOnly) {
    const options = { resultTypes: ["violations"], ...(coloursOnly && { runOnly: { type: "rule", values: ["color-contrast"] } }) };
    const { violations } = await page.evaluate((options) => window.axe.run(document, options), options);
    for (const { id, impact, nodes } of violations)
      if (impact === "serious" || impact === "critical") this.report(`${name}: ${id}: ${nodes[0].target} (${nodes.length})`);
  }

  async visit(page, name, address, widths, act) {
    await page.setViewportSize({ width: widths[0], height: HEIGHT });
    await page.goto(this.server.url + address);
    await settled(page);
    await page.evaluate(this.axe);
    await act?.(page);
    if (act) await page.locator("dialog[open], [popover]:popover-open").first().waitFor();
    for (const width of widths) await this.look(page, name, width, { whole: !act });
  }
}

/** A keyboard and a mouse; and a finger. */
const DEVICES = [{ widths: [1280, 820] }, { widths: [390], hasTouch: true, isMobile: false }];

async function visitAll(browser, looker, pages, state) {
  const only = new RegExp(process.env.ONLY ?? "");
  const chosen = Object.entries(pages).filter(([name]) => only.test(name));
  await Promise.all(
    DEVICES.map(async ({ widths, hasTouch }) => {
      const context = await browser.newContext({ hasTouch, storageState: state, viewport: { width: widths[0], height: HEIGHT } });
      const page = await open(context, looker.server, "/");
      for (const [name, address] of chosen) {
        if (typeof address === "string") await looker.visit(page, name, address, widths);
        else if (!hasTouch) await looker.visit(page, name, address[0], widths, address[1]);
      }
      if (hasTouch && only.test("over-navigation") && pages.overview) {
        await looker.visit(page, "over-navigation", "/", widths, (page) => page.getByRole("button", { name: "More" }).click());
      }
      await context.close();
    }),
  );
}

/** The three pictures of the README and the manual. First steps are not on them. */
export async function pictures(browser, server, shots) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: "light", reducedMotion: "reduce" });
  await context.addInitScript(() => localStorage.setItem("signalbox.console", JSON.stringify({ firstSteps: false })));
  const page = await open(context, server, "/");
  const pages = await addresses(server);
  for (const [name, address] of [["overview", "/"], ["console", "/requests"], ["request", pages.request]]) {
    await page.goto(server.url + address);
    await settled(page);
    await page.screenshot({ path: join(shots, `${name}.png`) });
  }
  await context.close();
}

export async function everyPage(browser, { server, fresh, shots, axe }) {
  const findings = new Set();
  // The page of a request that does not exist is one of them.
  await expecting([/404/], async () => {
    await visitAll(browser, new Looker(server, shots, axe, findings), { ...(await addresses(server)), ...OVERLAYS });
    const signedIn = await browser.newContext();
    const token = await fresh.token();
    await signedIn.request.post(`${fresh.url}/api/session`, { data: { token } });
    await visitAll(browser, new Looker(fresh, shots, axe, findings), EMPTY, await signedIn.storageState());
    await signedIn.close();
  });
  assert.deepEqual([...findings], []);
}
