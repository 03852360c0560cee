// What is changed and looked at beside the requests: charts, the log of changes, settings, lists of others, new keys.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { open, settled } from "./browser.mjs";

async function send(server, method, path, body) {
  const answer = await fetch(server.url + path, {
    method,
    headers: { "content-type": "application/json" },
    ...(body && { body: JSON.stringify(body) }),
  });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return await answer.json();
}

const focusedRow = (page) => page.evaluate(() => document.activeElement.getAttribute("href"));

/** A point of a chart leads to its requests, by keys and by a click; the period before is beside it. */
export async function charts(context, server) {
  const page = await open(context, server, "/live?range=1h");
  const chart = page.getByRole("slider", { name: /^Requests per second,/ });
  await chart.waitFor();
  await page.getByRole("switch", { name: "The period before" }).click();
  await page.waitForURL(/compare=true/);
  await page.getByRole("columnheader", { name: "Before" }).waitFor();
  await page.getByRole("heading", { name: "Errors per second, by status" }).waitFor();
  const text = () => chart.getAttribute("aria-valuetext");
  await chart.press("Home");
  assert.match(await text(), /requests 0, /, "there were no requests an hour ago");
  await chart.press("End");
  for (let n = 0; n < 60 && / requests 0,/.test(await text()); n += 1) await chart.press("ArrowLeft");
  await chart.press("Enter");
  await page.waitForURL(/\/requests\?from=\d+&to=\d+/);
  await page.locator("#main [role=row] [data-row]").first().waitFor();
  await page.goBack();
  await page.getByLabel("Lines", { exact: true }).selectOption("model");
  await page.waitForURL(/by=model/);
  const plot = page.getByRole("slider", { name: /^Requests per second,/ }).locator(".u-over");
  await plot.click();
  await page.waitForURL(/\/requests\?.*from=\d+/);
  await page.close();
}

/** Changes appear by themselves, but not under a reader; they are found by thing, request and time. */
export async function audit(context, server) {
  const page = await open(context, server, "/audit");
  const row = (text) => page.getByRole("row").filter({ hasText: text });
  await page.getByRole("row").nth(1).waitFor();
  const { id } = await send(server, "POST", "/api/routes", { model: "audited", targets: [{ provider: "fake", model: "fake-echo" }] });
  const created = row("route audited created");
  await created.waitFor();
  await created.getByRole("button", { name: "More" }).click();
  await send(server, "DELETE", `/api/routes/${id}`);
  const news = page.getByRole("button", { name: "Show 1 new change" });
  await news.waitFor();
  assert.equal(await row("route audited deleted").count(), 0, "nothing moves while an entry is read");
  await news.click();
  await row("route audited deleted").waitFor();
  await page.getByRole("button", { name: "All changes of this request" }).click();
  await page.waitForURL(/request=/);
  await row("route audited deleted").waitFor({ state: "detached" });
  await created.waitFor();
  await page.goto(`${server.url}/audit?resource=route&range=15m`);
  await created.waitFor();
  assert.equal(await page.getByLabel("Time", { exact: true }).inputValue(), "15m");
  await page.goto(`${server.url}/audit?resource=route&to=${Date.now() - 3_600_000}`);
  await page.getByText("Nothing matches").waitFor();
  await page.close();
}

/** A setting that was changed elsewhere is asked about, and each choice does what it says. */
export async function settings(context, server) {
  const key = "server.timeout";
  const stored = async () => (await send(server, "GET", `/api/settings/${key}`)).value;
  const page = await open(context, server, "/settings");
  const field = page.getByLabel(/^Timeout in milliseconds/);
  const dialog = page.getByRole("dialog", { name: "Changed meanwhile" });
  for (const [button, own, other] of [["Save mine over it", 50_000, 60_000], ["Take the stored one", 70_000, 80_000]]) {
    const expected = button === "Save mine over it" ? own : other;
    await field.fill(String(own));
    await send(server, "PUT", `/api/settings/${key}`, { value: other });
    await field.press("Enter");
    await dialog.getByText(String(other)).waitFor();
    assert.equal(await stored(), other, "nothing is overwritten");
    await dialog.getByRole("button", { name: button }).click();
    await dialog.waitFor({ state: "detached" });
    await page.waitForFunction(([id, value]) => document.getElementById(id).querySelector("input").value === value, [key, String(expected)]);
    assert.equal(await stored(), expected, button);
  }
  await page.locator(`[id="${key}"]`).getByRole("button", { name: "Reset" }).click();
  await page.getByText("Saved").first().waitFor();
  await page.close();
}

/** Lists show what others change; from a page, Escape leads back to the row that it was opened from. */
export async function lists(context, server) {
  const page = await open(context, server, "/routes");
  await page.getByRole("link", { name: "quick" }).waitFor();
  const { id } = await send(server, "POST", "/api/routes", { model: "another", targets: [{ provider: "fake", model: "fake-echo" }] });
  const link = page.getByRole("link", { name: "another" });
  await link.waitFor();
  for (const way of ["Escape", "link", "history"]) {
    await link.focus();
    const row = await focusedRow(page);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "another" }).waitFor();
    await settled(page);
    if (way === "Escape") await page.keyboard.press("Escape");
    else if (way === "link") await page.locator("#main").getByRole("link", { name: "Routes", exact: true }).click();
    else await page.goBack();
    await page.waitForURL(/\/routes$/);
    await page.waitForFunction((row) => document.activeElement.getAttribute("href") === row, row);
  }
  await send(server, "DELETE", `/api/routes/${id}`);
  await link.waitFor({ state: "detached" });
  await page.goto(`${server.url}/keys`);
  await page.getByText("No key yet").waitFor();
  const { id: key } = await send(server, "POST", "/api/keys", { name: "elsewhere" });
  await page.getByRole("link", { name: "elsewhere" }).waitFor();
  await send(server, "DELETE", `/api/keys/${key}`);
  await page.getByText("No key yet").waitFor();
  await page.close();
}

/** A new key is filled in where clients are connected, and is in no address. */
export async function connected(context, server) {
  const page = await open(context, server, "/keys/new");
  await page.getByLabel(/^Name/).fill("snippet");
  await page.getByRole("button", { name: "Create" }).click();
  const secret = await page.getByText(/^sbx-.{43}$/).textContent();
  await page.getByRole("link", { name: "Connect a client with it" }).click();
  await page.getByRole("heading", { level: 1, name: "Connect a client" }).waitFor();
  assert.ok(!page.url().includes("sbx-"), "a key is in no address");
  assert.equal(await page.getByLabel(/^Client key/).inputValue(), secret);
  await page.getByLabel(/^Model/).selectOption("echo");
  const command = await page.locator("pre").first().textContent();
  const { stdout } = await promisify(execFile)("sh", ["-c", command]);
  assert.match(stdout, /data: \[DONE\]/, "the command has the key");
  for (const [client, text] of [["open-webui", "open-webui serve"], ["cursor", "Override OpenAI Base URL"], ["roo-code", "OpenAI Compatible"]]) {
    await page.getByLabel(/^Client$/).selectOption(client);
    await page.getByText(text).first().waitFor();
  }
  await page.getByRole("link", { name: "Client keys", exact: true }).first().click();
  await page.getByRole("link", { name: "snippet" }).waitFor();
  await page.getByRole("link", { name: "Connect a client", exact: true }).first().click();
  await page.getByRole("heading", { level: 1, name: "Connect a client" }).waitFor();
  assert.equal(await page.getByLabel(/^Client key/).inputValue(), "", "the key is forgotten with the page");
  const { keys } = await send(server, "GET", "/api/keys");
  for (const { id } of keys) await send(server, "DELETE", `/api/keys/${id}`);
  await page.close();
}

/** The faults of providers are played against the routes, and the scorecard says how these fare. */
export async function faults(context, server) {
  const page = await open(context, server, "/doctor");
  await page.getByRole("button", { name: "Play faults" }).click();
  const route = page.locator("details").filter({ hasText: "quick" });
  await route.getByText(/\d+ of \d+ faults as they should/).waitFor();
  await route.locator("summary").click();
  await route.getByText(/^Expected:/).first().waitFor();
  await page.close();
}

/** All steps, on a server that has had requests. */
export async function steps(step, context, server) {
  await step("charts", () => charts(context, server));
  await step("the log of changes", () => audit(context, server));
  await step("a setting in two places", () => settings(context, server));
  await step("lists of others", () => lists(context, server));
  await step("connect with a new key", () => connected(context, server));
}
