// What works without a mouse, without motion, and with the colours of the system.
import assert from "node:assert/strict";
import { expecting, open, settled } from "./browser.mjs";

const PAGES = [
  "/", "/live", "/requests", "/sessions", "/usage", "/playground", "/providers", "/providers/new?type=openai", "/models", "/routes/new",
  "/keys/new", "/prices", "/qwen", "/logs", "/audit", "/config", "/settings", "/doctor", "/connect",
];

/** Most controls of a page that are looked at. */
const MOST = 120;

/** Returns the controls of the page that the tab key never reaches, and those whose focus cannot be seen. */
async function unreached(page) {
  const controls = await page.evaluate((most) => {
    const found = document.querySelectorAll("#main :is(a[href], button, input, select, textarea, summary, [tabindex])");
    // Arrow keys move within tabs and menus, whose other entries are left out on purpose.
    const isReachable = (one) => one.checkVisibility() && !one.closest("[popover]") && one.tabIndex >= 0 && !one.disabled;
    const controls = [...found].filter(isReachable).slice(0, most);
    const left = new Set(controls);
    const unseen = new Set();
    window.outcome = () => [
      ...[...left].map((one) => `not reached: ${one.outerHTML.slice(0, 120)}`),
      ...[...unseen].map((one) => `no visible focus: ${one.outerHTML.slice(0, 120)}`),
    ];
    document.addEventListener("focusin", ({ target }) => {
      if (!left.delete(target)) return;
      const { outlineStyle, outlineWidth } = getComputedStyle(target);
      if (outlineStyle === "none" || Number.parseFloat(outlineWidth) === 0) unseen.add(target);
    });
    document.getElementById("main").focus();
    return controls.length;
  }, MOST);
  // Fields of a time have several stops.
  for (let n = 0; n < controls + 10; n += 1) await page.keyboard.press("Tab");
  return page.evaluate(() => window.outcome());
}

export async function reachable(browser, server) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce" });
  const page = await open(context, server, "/");
  const findings = [];
  for (const address of PAGES) {
    await page.goto(server.url + address);
    await settled(page);
    findings.push(...(await unreached(page)).map((finding) => `${address}: ${finding}`));
  }
  assert.deepEqual(findings, []);
  await context.close();
}

/** Goes to a page by `g` and its key. A slow machine may need more time between the two than a person. */
async function goTo(page, key, heading) {
  for (let n = 0; n < 20; n += 1) {
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    if (await heading.waitFor({ timeout: 3_000 }).then(() => true, () => false)) return;
  }
  throw new Error(`"g ${key}" has no effect`);
}

/** Adds a provider, filters the requests and opens one, and deletes the provider, by keys alone. */
export async function withoutMouse(browser, server) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce" });
  const page = await open(context, server, "/");
  await settled(page);
  // Nothing may depend on a pointer.
  await page.evaluate(() => {
    for (const kind of ["pointerdown", "mousedown"]) addEventListener(kind, (event) => console.error(`${event.type} without a mouse`), true);
  });
  const { keyboard } = page;
  await keyboard.press("Control+k");
  await page.getByRole("combobox").waitFor();
  await keyboard.type("Providers");
  await keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Providers" }).waitFor();
  await page.getByRole("link", { name: "Add a provider" }).first().press("Enter");
  await page.getByRole("heading", { level: 1, name: "Add a provider" }).waitFor();
  await page.getByRole("link", { name: /^Echo/ }).press("Enter");
  await page.getByLabel(/^Name/).press("Control+a");
  await keyboard.type("By keys");
  await keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "By keys" }).waitFor();
  await goTo(page, "r", page.getByRole("heading", { level: 1, name: "Requests" }));
  await page.locator("#main [data-row]").first().waitFor();
  await keyboard.press("j");
  await keyboard.press("j");
  const second = await page.evaluate(() => document.activeElement.getAttribute("href"));
  await keyboard.press("Enter");
  await page.waitForURL((url) => url.pathname === second);
  await page.goBack();
  await page.goto(`${server.url}/providers/by-keys`);
  const remove = page.getByRole("button", { name: "Delete" }).first();
  await remove.focus();
  await keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Delete", "the focus returns");
  await keyboard.press("Enter");
  await page.getByLabel("Type by-keys to confirm").focus();
  await keyboard.type("by-keys");
  await keyboard.press("Tab");
  await keyboard.press("Tab");
  // The event of the deletion may reach the page of the provider before it is left.
  await expecting([/404/], async () => {
    await keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Providers" }).waitFor();
    await page.getByText("By keys was deleted").waitFor();
  });
  await context.close();
}

/** Returns the animations and transitions of the page that take time. */
const moving = () =>
  [...document.querySelectorAll("*")].flatMap((element) => {
    const { animationName, animationDuration, transitionDuration, transitionProperty } = getComputedStyle(element);
    const seconds = (text) => Math.max(...text.split(",").map((one) => Number.parseFloat(one) || 0));
    const turns = animationName !== "none" && seconds(animationDuration) > 0;
    const fades = transitionProperty !== "none" && seconds(transitionDuration) > 0;
    return turns || fades ? [`${element.tagName}.${element.className} moves`] : [];
  });

export async function preferences(browser, server) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce" });
  const page = await open(context, server, "/");
  const findings = [];
  for (const address of ["/", "/requests", "/live", "/settings", "/playground?a=echo"]) {
    await page.goto(server.url + address);
    await settled(page);
    findings.push(...(await page.evaluate(moving)).map((finding) => `${address}: ${finding}`));
  }
  assert.deepEqual([...new Set(findings)], [], "prefers-reduced-motion");
  await page.emulateMedia({ forcedColors: "active", reducedMotion: "reduce" });
  const unmarked = [];
  for (const address of ["/", "/settings", "/providers", "/live", "/logs"]) {
    await page.goto(server.url + address);
    await settled(page);
    unmarked.push(...(await page.evaluate(withoutColours)).map((finding) => `${address}: ${finding}`));
  }
  assert.deepEqual([...new Set(unmarked)], [], "forced-colors");
  await context.close();
}

/** Returns what looks like its neighbours that are not chosen: the system replaces backgrounds. */
function withoutColours() {
  const found = [];
  const looks = (element, pseudo) => {
    const style = getComputedStyle(element, pseudo);
    const edges = ["top", "bottom", "left"].map((side) => style.getPropertyValue(`border-${side}`));
    return [...edges, style.outline, style.textDecorationLine, style.backgroundColor, style.backgroundImage, style.color].join(" ");
  };
  const states = ["aria-current", "aria-selected", "aria-pressed"];
  const isChosen = (element) => states.some((name) => ["page", "true"].includes(element.getAttribute(name)));
  for (const element of document.querySelectorAll(states.map((name) => `[${name}]`).join())) {
    if (!isChosen(element) || !element.checkVisibility()) continue;
    const kind = (one) => `${one.tagName} ${one.className.split(" ")[0]}`;
    const other = [...element.parentElement.children].find((one) => kind(one) === kind(element) && !isChosen(one));
    if (other && looks(element) === looks(other)) found.push(`the chosen ${element.tagName} "${element.textContent.trim()}" looks like the others`);
  }
  const switches = [...document.querySelectorAll("[role=switch]")];
  const [on, off] = ["true", "false"].map((state) => switches.find((one) => one.getAttribute("aria-checked") === state));
  if (on && off && looks(on, "::before") === looks(off, "::before")) found.push("switches that are on look like those that are off");
  return found;
}
