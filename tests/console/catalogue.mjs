// The overview, the lists of providers and models, and the operator's own prices.
import assert from "node:assert/strict";
import { expecting, open, settled } from "./browser.mjs";

const json = { "content-type": "application/json" };

async function ask(server, model) {
  const body = JSON.stringify({ model, messages: [{ role: "user", content: "Does it answer?" }] });
  const answer = await fetch(`http://127.0.0.1:${server.routerPort}/v1/chat/completions`, { method: "POST", headers: json, body });
  await answer.text();
  return answer;
}

const figure = (page, name) => page.locator("dl div").filter({ has: page.getByText(name, { exact: true }) }).locator("dd");

/** Waits until a figure is another number than before. */
async function grows(page, name, before) {
  await page.waitForFunction(
    ([name, before]) => [...document.querySelectorAll("dl div")].some((one) => one.querySelector("dt")?.textContent === name && Number.parseInt(one.querySelector("dd").textContent) > before),
    [name, before],
  );
}

/** The last hour counts what is answered and what fails, and a failure leads to its request. */
export async function overview(context, server) {
  const page = await open(context, server, "/");
  const requests = Number.parseInt(await figure(page, "Requests").textContent());
  const failed = Number.parseInt(await figure(page, "Failed").textContent());
  await ask(server, "quick");
  const { headers } = await ask(server, "fake/fake-500");
  await grows(page, "Requests", requests + 1);
  await grows(page, "Failed", failed);
  await page.getByText(/^Times are of completed requests/).waitFor();
  const newest = page.getByRole("list", { name: "Newest failures" }).getByRole("link").first();
  await newest.filter({ hasText: "fake/fake-500" }).click();
  await page.waitForURL(`**/requests/${headers.get("x-request-id")}`);
  await page.close();
}

/** Figures and the last outcome are in the list of providers, and lead to what they are about. */
export async function providers(context, server) {
  const page = await open(context, server, "/providers");
  const row = page.getByRole("row").filter({ has: page.locator("a[href='/providers/fake']") });
  await ask(server, "fake/fake-500");
  await row.getByText("last request failed").waitFor();
  await ask(server, "quick");
  await row.getByText("loaded", { exact: true }).waitFor();
  await row.getByRole("link", { name: /^\d+ models of / }).waitFor();
  await row.getByText(/^p95 \d/).waitFor();
  await row.getByRole("link", { name: /^\d+ requests$/ }).waitFor();
  await row.getByRole("link", { name: /^\d+ failed$/ }).click();
  await page.waitForURL(/provider=fake/);
  assert.match(page.url(), /has_error=true/);
  await page.close();
}

const MANY = 1_100;

/** More models than one answer of the server has: they come page by page, and are searched to the end. */
export async function models(context, server) {
  const names = Array.from({ length: MANY }, (_, n) => `many-${String(n).padStart(4, "0")}`);
  const entry = (name, n) => [name, { name, capabilities: n === 7 ? ["chat", "vision"] : ["chat"] }];
  const providers = { fake: { models: { "many-0007": { default: true }, "many-1099": {} } } };
  const stored = await (await fetch(`${server.url}/api/config/export?format=json`)).json();
  const apply = async (document, query = "") => {
    const answer = await fetch(`${server.url}/api/config/apply?format=json${query}`, { method: "POST", headers: json, body: JSON.stringify(document) });
    assert.equal(answer.status, 200, await answer.clone().text());
  };
  const fake = { ...stored.providers.fake, models: { ...stored.providers.fake.models, ...providers.fake.models } };
  await apply({ providers: { fake }, models: Object.fromEntries(names.map(entry)) });
  const page = await open(context, server, "/models");
  const total = MANY + Object.keys(stored.models).length;
  const words = (text) => page.getByRole("status").filter({ hasText: text }).waitFor();
  await words(`100 of ${total.toLocaleString("en-GB")} models`);
  await page.getByRole("button", { name: "Show more" }).click();
  await words(`200 of ${total.toLocaleString("en-GB")} models`);
  await page.getByRole("searchbox", { name: "Search models" }).fill("many-1099");
  await words(`1 found in ${total.toLocaleString("en-GB")}`);
  const row = (name) => page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) });
  await row("many-1099").getByRole("link", { name: "fake", exact: true }).waitFor();
  await page.goto(`${server.url}/models?capability=vision&provider=fake`);
  await row("many-0007").getByRole("img", { name: "its default" }).waitFor();
  await words("1 of 1 model");
  await page.getByLabel("Provider").selectOption("echo");
  await page.getByText("Nothing matches").waitFor();
  await page.getByRole("button", { name: "Clear filters" }).click();
  await words(`100 of ${total.toLocaleString("en-GB")} models`);
  await page.close();
  for (const name of ["many-0007", "many-1099"]) await fetch(`${server.url}/api/providers/fake/models/${name}`, { method: "DELETE" });
  await apply({ models: stored.models }, "&prune=true");
}

const prices = async (server) => (await (await fetch(`${server.url}/api/prices`)).json()).overrides;
/** Waits until the prices of the form are stored. The notice may still be that of the time before. */
async function saved(page, form) {
  await page.getByText("Your prices are in force within a second").first().waitFor();
  await form.getByRole("button", { name: "Undo changes" }).waitFor({ state: "detached" });
}

/** Prices of one's own: mistakes at their fields, one that replaces a shipped price, a change from elsewhere, and JSON. */
export async function ownPrices(context, server) {
  const page = await open(context, server, "/prices");
  const form = page.getByRole("form", { name: "Your prices" });
  const save = () => form.getByRole("button", { name: "Save" }).click();
  await form.getByRole("button", { name: "Add a price" }).click();
  await form.getByLabel(/^Model/).fill("openai/our-model");
  await form.getByLabel("Input", { exact: true }).fill("cheap");
  await form.getByLabel("Output", { exact: true }).fill("$7.20");
  // The browser reports refused requests.
  await expecting([/400/], async () => {
    await save();
    await form.getByText(/^Must be dollars per million tokens/).waitFor();
  });
  assert.equal(await page.evaluate(() => document.activeElement.value), "cheap", "the mistake has the focus");
  await form.getByLabel("Input", { exact: true }).fill("1.8");
  page.once("dialog", (dialog) => void dialog.accept());
  await page.reload();
  await page.getByText("This is what you had entered").waitFor();
  await save();
  await saved(page, form);
  const row = { id: "openai/our-model", base: { in: "1.8", out: "7.20" } };
  assert.deepEqual(await prices(server), { prices: [row] });
  // A shipped price becomes one's own.
  await page.getByRole("searchbox", { name: "Search models" }).fill("openai/gpt-4o-mini");
  await page.getByRole("button", { name: "Change the price of openai/gpt-4o-mini", exact: true }).click();
  const mine = form.locator("details").filter({ hasText: "openai/gpt-4o-mini" }).first();
  await mine.getByLabel("Input", { exact: true }).first().fill("0.1");
  // Another client writes at the same time.
  const theirs = { prices: [{ ...row, base: { in: "2", out: "8" } }] };
  await fetch(`${server.url}/api/prices`, { method: "PUT", headers: json, body: JSON.stringify(theirs) });
  await save();
  const dialog = page.getByRole("dialog", { name: "Changed meanwhile" });
  await dialog.getByText("openai/our-model", { exact: true }).waitFor();
  await dialog.getByRole("button", { name: "Save mine over it" }).click();
  await dialog.waitFor({ state: "detached" });
  const stored = (await prices(server)).prices;
  assert.deepEqual([stored[0], stored[1].id, stored[1].base.in], [row, "openai/gpt-4o-mini", "0.1"]);
  await page.getByRole("row").filter({ hasText: "openai/gpt-4o-mini" }).getByText("replaced").first().waitFor();
  // The expert's way shows the same document.
  await form.getByRole("button", { name: "As JSON" }).click();
  const document = form.getByLabel("Document");
  assert.deepEqual(JSON.parse(await document.inputValue()).prices, stored);
  await document.fill("{");
  await form.getByRole("button", { name: "As a form" }).click();
  await form.getByText(/^This is no JSON/).waitFor();
  await document.fill(JSON.stringify({ prices: [{ id: "our-gpus", provider_id: "fake", match: ["*"], free: true }] }));
  await form.getByRole("button", { name: "As a form" }).click();
  await form.getByText("our-gpus").waitFor();
  await save();
  await saved(page, form);
  await page.reload();
  await settled(page);
  await form.getByRole("button", { name: "Remove all of yours" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await form.getByText("None.", { exact: false }).waitFor();
  assert.equal(await prices(server), null);
  await page.close();
}
