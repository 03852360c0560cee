// The page of a request: its attempts, its plan, its bodies as they are, and its repetition beside the original.
import assert from "node:assert/strict";
import { open, settled } from "./browser.mjs";

const JSON_TYPE = { "content-type": "application/json" };

/** Sends a body to the router as it is, until it is answered: new providers are known within a second. Returns the id. */
async function send(server, body) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const until = Date.now() + 60_000;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${server.routerPort}/v1/chat/completions`, { method: "POST", headers: JSON_TYPE, body: text });
    const said = await answer.text();
    const id = answer.headers.get("x-request-id");
    await logged(server, id);
    if (answer.ok) return id;
    assert.ok(Date.now() < until, said);
  }
}

/** Waits until the log has a request with its end. */
async function logged(server, id) {
  const until = Date.now() + 60_000;
  for (;;) {
    const answer = await fetch(`${server.url}/api/requests/${id}?view=short`);
    const request = answer.ok ? await answer.json() : null;
    if (request && request.status !== "pending") return request;
    assert.ok(Date.now() < until, `${id} is not logged`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function addRoute(server, model, targets) {
  const answer = await fetch(`${server.url}/api/routes`, { method: "POST", headers: JSON_TYPE, body: JSON.stringify({ model, targets }) });
  assert.ok(answer.ok, await answer.text());
}

const asks = (model, content, more = {}) => ({ model, messages: [{ role: "user", content }], ...more });
const field = (page, name) => page.getByLabel(name, { exact: true });

/** A replay with another model, whose mistakes are shown and whose answer stands beside the original. */
export async function replay(context, server) {
  const id = await send(server, asks("quick", "one two three", { temperature: 1 }));
  const page = await open(context, server, `/requests/${id}`);
  await settled(page);
  await page.getByRole("article", { name: "Assistant" }).waitFor();
  await page.keyboard.press("r");
  await page.getByText("This asks a model.").waitFor();
  await page.getByText("Change the body").click();
  await field(page, "Body").fill('{"temperature": 0');
  await page.getByText(/^It must be JSON/).waitFor();
  await field(page, "Body").fill(JSON.stringify({ temperature: 0, messages: [{ role: "user", content: "one 2 three four" }] }));
  await page.getByText("Change the body: temperature, messages").waitFor();
  await page.reload();
  await page.getByText("Change the body: temperature, messages").waitFor();
  await field(page, "Provider").selectOption("fake");
  await field(page, "Model").press("Control+Enter");
  const sides = page.getByRole("region", { name: "Figures of both" });
  await sides.getByRole("row", { name: /^Provider/ }).waitFor();
  await page.getByRole("region", { name: "Text, original" }).locator("del").first().waitFor();
  const added = await page.getByRole("region", { name: "Text, replay" }).locator("ins").allTextContents();
  assert.match(added.join(""), /2.*four/);
  await page.getByLabel("Compare the text by").selectOption("lines");
  await page.waitForURL(/by=lines/);
  // The comparison has an address, and both requests name each other.
  await page.reload();
  await page.getByRole("region", { name: "Text, replay" }).locator("ins").first().waitFor();
  await page.getByRole("link", { name: "Open the replay" }).click();
  await page.getByText("replay of").waitFor();
  const other = new URL(page.url()).pathname.split("/").at(-1);
  assert.equal((await logged(server, other)).replay_of, id);
  await page.getByRole("link", { name: "compare", exact: true }).click();
  await sides.waitFor();
  await page.close();
}

/** A replay that is stopped, and one that is sent several times. */
export async function replays(context, server) {
  const id = await send(server, asks("fake/fake-tool", "How is the weather?", { stream: true }));
  const page = await open(context, server, `/requests/${id}/replay`);
  const go = page.getByRole("button", { name: "Replay", exact: true });
  await field(page, "Model").fill("fake/fake-9999x1000");
  await go.click();
  await page.getByText("answering", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Stop" }).first().click();
  await page.getByText("stopped", { exact: true }).waitFor();
  const stopped = new URL(await page.getByRole("link", { name: "In the log" }).getAttribute("href"), server.url);
  assert.equal((await logged(server, stopped.pathname.split("/").at(-1))).status, "client_disconnected");
  await field(page, "Model").fill("fake/fake-parallel-2");
  await go.click();
  const calls = page.getByRole("list", { name: "Tool calls" });
  await calls.getByText("only in the replay").waitFor();
  assert.equal(await calls.getByRole("listitem").count(), 2);
  await field(page, "Times").fill("21");
  await page.getByText("It must be a whole number from 1 to 20").waitFor();
  await field(page, "Times").fill("3");
  await go.click();
  await page.getByRole("dialog", { name: "Send it 3 times?" }).getByRole("button", { name: "Send" }).click();
  await page.getByText(/^3 of 3 answered/).waitFor();
  await page.close();
}

/** Sends a request that a new route answers: the router knows it within a second. Returns its id. */
async function routed(server, model) {
  const until = Date.now() + 60_000;
  for (;;) {
    const id = await send(server, asks(model, "Who answers?"));
    const { route } = await (await fetch(`${server.url}/api/requests/${id}/explain`)).json();
    if (route === model) return id;
    assert.ok(Date.now() < until, `the router does not know ${model}`);
  }
}

/** The attempts and the plan of a request that was answered by its second target. */
export async function attempts(context, server) {
  await addRoute(server, "second", [
    { provider: "fake", model: "fake-503" },
    { provider: "fake", model: "fake-echo" },
  ]);
  const id = await routed(server, "second");
  const page = await open(context, server, `/requests/${id}?tab=timing`);
  const table = page.getByRole("region", { name: "Attempts" });
  await table.getByRole("row", { name: /fake-503.*failed.*503/ }).waitFor();
  await table.getByRole("row", { name: /fake-echo.*answered/ }).waitFor();
  await page.getByRole("link", { name: "2 attempts" }).waitFor();
  await page.getByRole("tab", { name: "Explain" }).click();
  const targets = page.getByRole("region", { name: "Targets" });
  await targets.getByRole("row", { name: /fake-503.*failed/ }).waitFor();
  await targets.getByRole("row", { name: /fake-echo.*answered/ }).waitFor();
  await page.getByRole("link", { name: "second", exact: true }).waitFor();
  await page.close();
}

/** Bodies as they are, what is found and folded in them, and the way to the playground. */
export async function bodies(context, server) {
  const tools = [{ type: "function", function: { name: "read_file", parameters: { type: "object" } } }];
  const body = `{ "model" : "quick",  "seed": 1e2, "tools": ${JSON.stringify(tools)}, "messages":[{"role":"user","content":"Find the needle"},{"role":"user","content":"and the thread"}]}`;
  const id = await send(server, body);
  const page = await open(context, server, `/requests/${id}`);
  await page.getByRole("searchbox", { name: "Find in the messages" }).fill("NEEDLE");
  await page.locator("mark").getByText("needle").first().waitFor();
  await page.waitForURL(/find=NEEDLE/);
  assert.equal(await page.getByText("and the thread").count(), 0);
  await page.getByRole("button", { name: "Show all messages" }).click();
  await page.getByRole("tab", { name: "Tools" }).click();
  await page.locator("summary").getByText("read_file").click();
  await page.getByText('"type": "object"').waitFor();
  await page.keyboard.press("w");
  await page.getByText('"seed": 100,').waitFor();
  await page.getByLabel("Levels shown").selectOption("1");
  await page.getByText('"seed": 100,').waitFor();
  await page.getByText("Find the needle").waitFor({ state: "detached" });
  await page.getByRole("searchbox", { name: /^Find in/ }).fill("needle");
  await page.getByText("1 of 1", { exact: true }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByText("Find the needle").waitFor();
  await page.getByRole("button", { name: "As it is" }).click();
  await page.getByText(body, { exact: true }).waitFor();
  const save = page.getByRole("link", { name: /^Save Asked/ });
  const [download] = await Promise.all([page.waitForEvent("download"), save.click()]);
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  assert.equal(Buffer.concat(chunks).toString(), body, "saved byte for byte");
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Open in the playground" }).click();
  await page.waitForURL(/\/playground\?a=quick/);
  await page.close();
}
