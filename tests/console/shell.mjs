// The frame of the console: keys, palette, times, the lost connection, and commands that were refused.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { expecting, open, settled } from "./browser.mjs";

const card = (page, service) => page.locator(`[data-service=${service}]`);
const state = (page, service, text) => page.getByTestId(`state-${service}`).getByText(text).waitFor();
const command = (server, kind, body) =>
  fetch(`${server.url}/api/proxy/${kind}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** Escape goes back to the list as it was, rows and actions are reached by keys, and the title names the server. */
export async function keys(context, server) {
  const page = await open(context, server, "/requests?stream=false");
  const { instance } = await (await fetch(`${server.url}/api/about`)).json();
  await page.waitForFunction((name) => document.title === `Requests · ${name} · Signalbox`, instance);
  await page.locator("#main [data-row]").first().waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("End");
  const last = await page.evaluate(() => [...document.querySelectorAll("#main [data-row]")].at(-1) === document.activeElement);
  assert.ok(last, "End goes to the last row");
  await page.keyboard.press("Home");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/requests\/[^/?]+/);
  await settled(page);
  const menu = page.getByRole("menu").first();
  // The page may still load what the key opens.
  for (let n = 0; n < 20; n += 1) {
    await page.keyboard.press(".");
    const isShown = await menu.waitFor({ timeout: 1000 }).then(() => true, () => false);
    if (isShown) break;
  }
  await menu.waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("menu").first().waitFor({ state: "hidden" });
  assert.match(page.url(), /\/requests\/[^/?]+/, "the first Escape closes the menu only");
  await page.keyboard.press("Escape");
  await page.waitForURL(/\/requests\?stream=false$/);
  await page.close();
}

/** The palette has every service, routes and keys, and begins with what was chosen last. */
export async function palette(context, server) {
  const page = await open(context, server, "/");
  await settled(page);
  const choose = async (text, option) => {
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: "Search and commands" }).fill(text);
    await page.getByRole("option", { name: option }).click();
  };
  await choose("restart qwen", /^Restart qwen-proxy/);
  await page.getByRole("dialog", { name: "Restart qwen-proxy?" }).getByRole("button", { name: "Cancel" }).click();
  await choose("quick", /^quick\s*Route/);
  await page.getByRole("heading", { level: 1, name: "quick" }).waitFor();
  await page.keyboard.press("Control+k");
  await page.getByRole("listbox", { name: "Results" }).getByRole("option").first().getByText("Route, recent").waitFor();
  await page.getByRole("combobox", { name: "Search and commands" }).fill("minimize");
  await page.getByText("Nothing is named like this.").waitFor();
  await page.keyboard.press("Escape");
  await page.close();
}

/** Times are those of the browser, or UTC; the choice is kept. */
export async function zones(browser, server) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, timezoneId: "America/New_York" });
  const page = await open(context, server, "/logs");
  const time = page.getByRole("log").locator("time").first();
  await time.waitFor();
  const shown = async () => [await time.textContent(), (await time.getAttribute("title")).slice(11, 23)];
  const [local, written] = await shown();
  assert.notEqual(local, written, "New York is not UTC");
  await page.getByRole("button", { name: "America/New_York" }).click();
  await page.getByRole("button", { name: "UTC" }).waitFor();
  await time.waitFor();
  const [utc, same] = await shown();
  assert.equal(utc, same);
  await page.reload();
  await page.getByRole("button", { name: "UTC" }).waitFor();
  await context.close();
}

/** On a phone, the bar at the bottom has the pages of every day. */
export async function phone(browser, server) {
  const context = await browser.newContext({ viewport: { width: 390, height: 780 } });
  const page = await open(context, server, "/");
  const bar = page.getByRole("navigation", { name: "Main pages" });
  await bar.waitFor();
  assert.deepEqual(await bar.locator("a, button").allTextContents(), ["Overview", "Live", "Requests", "Playground", "More"]);
  await context.close();
}

/** A refused command is tried again for the service that it was for, and so is the next free port. */
export async function refused(context, server) {
  const page = await open(context, server, "/");
  await state(page, "provider-router", /^Running/);
  const asked = [];
  await page.route("**/api/proxy/restart", async (route) => {
    asked.push(route.request().postDataJSON());
    if (asked.length > 1) return route.continue();
    return route.fulfill({ status: 500, contentType: "application/json", body: JSON.stringify({ success: false, error: "it broke", message: "it broke" }) });
  });
  await expecting([/500/], async () => {
    await card(page, "qwen-proxy").getByRole("button", { name: "Restart" }).click();
    await page.getByText("The restart of qwen-proxy failed.").waitFor();
  });
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("The restart of qwen-proxy failed.").waitFor({ state: "detached" });
  assert.deepEqual(asked, [{ service: "qwen-proxy" }, { service: "qwen-proxy" }]);
  await card(page, "qwen-proxy").getByRole("button", { name: "Restart", exact: true }).waitFor();
  for (const service of ["provider-router", "qwen-proxy"]) await command(server, "stop", { service });
  await state(page, "provider-router", "Stopped");
  await state(page, "qwen-proxy", "Stopped");
  // What connects to it meanwhile must not keep it open.
  const holder = createServer((socket) => socket.destroy());
  await new Promise((resolve, reject) => holder.once("error", reject).listen(server.routerPort, "127.0.0.1", resolve));
  await expecting([/409/], async () => {
    await card(page, "provider-router").getByRole("button", { name: "Start" }).click();
    await page.getByText(`Port ${server.routerPort} is taken`).waitFor();
  });
  await page.getByRole("button", { name: "Use the next free port" }).click();
  await state(page, "provider-router", /^Running :\d+$/);
  assert.equal(await page.getByTestId("state-qwen-proxy").textContent(), "Stopped", "the other service stays as it was");
  await new Promise((resolve) => holder.close(resolve));
  await command(server, "stop", { service: "provider-router" });
  await command(server, "start", {});
  await state(page, "provider-router", `Running :${server.routerPort}`);
  await state(page, "qwen-proxy", /^Running/);
  await page.close();
}
