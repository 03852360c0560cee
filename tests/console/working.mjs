// What somebody does who works with the console: requests in flight, conflicts, live figures, settings, logins, checks.
import assert from "node:assert/strict";
import { expecting, holds, open, settled } from "./browser.mjs";
import { freePort } from "./server.mjs";

/** A stream that lasts longer than any step: a word every second. */
const SLOW = "fake-9999x1000";

async function post(server, path, body, method = "POST") {
  const answer = await fetch(server.url + path, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
  return await answer.json();
}

/** Adds the fake as a provider, and a route to it. */
export async function prepare(server, fake) {
  await post(server, "/api/providers", { id: "fake", name: "Fake", type: "openai", config: { baseURL: fake.url, apiKey: "sk-any-00000000000000000000" } });
  await post(server, "/api/routes", { model: "quick", targets: [{ provider: "fake", model: "fake-echo" }] });
}

/** Begins a request that lasts. Returns its id, and what its client gets in the end. */
async function begin(server) {
  const answer = await fetch(`http://127.0.0.1:${server.routerPort}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: `fake/${SLOW}`, stream: true, messages: [{ role: "user", content: "Count slowly." }] }),
  });
  assert.equal(answer.status, 200);
  const decoder = new TextDecoder();
  const end = (async () => {
    let text = "";
    try {
      for await (const bytes of answer.body) text += decoder.decode(bytes, { stream: true });
    } catch {
      // A cancelled stream breaks off.
    }
    return text;
  })();
  return { id: answer.headers.get("x-request-id"), end };
}

/** Cancels a request from the page of live figures, and finds it in the log. */
export async function cancel(context, server) {
  const page = await open(context, server, "/live");
  const { id, end } = await begin(server);
  const row = page.getByRole("region", { name: "Requests in flight" }).getByRole("row").filter({ hasText: SLOW });
  await row.getByRole("button", { name: "Cancel" }).click();
  const question = page.getByRole("dialog", { name: "Cancel this request?" });
  await question.getByRole("button", { name: "Leave it" }).click();
  await question.waitFor({ state: "detached" });
  await row.getByRole("button", { name: "Cancel" }).click();
  await question.getByRole("button", { name: "Cancel the request" }).click();
  assert.match(await end, /request_cancelled/, "the client is told");
  await row.waitFor({ state: "detached" });
  // The log is loaded within a second.
  await page.goto(`${server.url}/requests`);
  await page.locator("#main [data-row]").filter({ hasText: "cancelled" }).first().waitFor();
  await page.goto(`${server.url}/requests/${id}`);
  await page.getByText("Cancelled: it was cancelled").waitFor();
  await page.close();
}

/** A request that begins and ends is seen in the list, which is never loaded anew. */
export async function followed(context, server) {
  const page = await open(context, server, "/requests");
  await settled(page);
  await page.evaluate(() => {
    window.isSamePage = true;
  });
  const { id, end } = await begin(server);
  await page.getByRole("button", { name: "1 in flight" }).waitFor();
  const flying = page.getByRole("list", { name: "Requests in flight" }).getByRole("listitem").filter({ hasText: SLOW });
  await flying.getByRole("button", { name: /^Cancel/ }).waitFor();
  await page.getByRole("button", { name: /^Show 1 new/ }).click();
  const row = page.locator(`#main [role=row][data-id="${id}"]`);
  await row.getByText("pending").first().waitFor();
  await post(server, `/api/requests/${id}/cancel`, {});
  await end;
  await row.getByText("cancelled", { exact: true }).first().waitFor();
  await page.getByRole("button", { name: "1 in flight" }).waitFor({ state: "detached" });
  // With filters, only those count that match.
  await page.getByRole("button", { name: "More filters" }).click();
  await page.getByLabel("Streaming").selectOption("false");
  await page.getByText("Clear filters").first().waitFor();
  await settled(page);
  const ask = (stream) =>
    post(server, "/api/playground/chat/completions", { model: "quick", stream, messages: [{ role: "user", content: "Hello" }] });
  await ask(false);
  await page.getByRole("button", { name: "Show 1 new that match" }).click();
  assert.equal(await page.evaluate(() => window.isSamePage), true);
  await page.close();
}

/** Two tabs change the same thing: the later one is asked, and both answers do what they say. */
export async function conflicts(context, server) {
  const stored = async (path) => (await fetch(server.url + path)).json();
  const [mine, theirs] = [await open(context, server, "/providers/fake"), await open(context, server, "/providers/fake")];
  const save = (page) => page.getByRole("button", { name: "Save", exact: true }).click();
  const dialog = mine.getByRole("dialog", { name: "Changed meanwhile" });
  const description = mine.getByLabel("Description");
  for (const [button, name, text] of [["Save mine over it", "Renamed once", "mine"], ["Take the stored one", "Renamed twice", "dropped"]]) {
    await description.fill(text);
    await theirs.getByLabel(/^Name/).fill(name);
    await save(theirs);
    await theirs.getByRole("heading", { level: 1, name }).waitFor();
    // The browser reports the refusal.
    await expecting([/412/], async () => {
      await save(mine);
      await dialog.getByText(name).waitFor();
    });
    if (text === "mine") {
      await dialog.getByRole("button", { name: "Go on editing" }).click();
      assert.equal(await description.inputValue(), text, "the input is kept");
      await expecting([/412/], async () => {
        await save(mine);
        await dialog.getByText(name).waitFor();
      });
    }
    await dialog.getByRole("button", { name: button }).click();
    await dialog.waitFor({ state: "detached" });
    const provider = await stored("/api/providers/fake");
    assert.deepEqual([provider.name, provider.description], [name, "mine"], button);
    assert.equal(await description.inputValue(), "mine");
    assert.equal(await mine.getByLabel(/^Name/).inputValue(), name);
    // The other tab is edited next: only what it has heard of is no conflict.
    await holds(theirs, theirs.getByLabel("Description"), "mine");
  }
  const { id } = (await stored("/api/routes")).routes[0];
  for (const page of [mine, theirs]) await page.goto(`${server.url}/routes/${id}`);
  const weight = (page) => page.getByLabel(/^Weight/);
  for (const [button, own, other] of [["Save mine over it", "7", "5"], ["Take the stored one", "8", "6"]]) {
    const expected = button === "Save mine over it" ? own : other;
    await weight(mine).fill(own);
    await weight(theirs).fill(other);
    await save(theirs);
    await mine.getByText("The route was changed elsewhere").waitFor();
    await expecting([/412/], async () => {
      await save(mine);
      await dialog.getByRole("button", { name: button }).click();
    });
    await dialog.waitFor({ state: "detached" });
    assert.equal(String((await stored(`/api/routes/${id}`)).targets[0].weight), expected, button);
    assert.equal(await weight(mine).inputValue(), expected, button);
    if (button === "Take the stored one") break;
    // The other tab is edited next, and hears of the change by itself.
    await theirs.getByRole("button", { name: "Show the stored one" }).click();
    await holds(theirs, weight(theirs), expected);
  }
  await Promise.all([mine.close(), theirs.close()]);
}

/** Counts the ticks that a page receives. */
function countTicks(page) {
  const seen = { ticks: 0, unsubscribed: 0 };
  page.on("websocket", (socket) => {
    socket.on("framereceived", ({ payload }) => {
      if (String(payload).includes('"metrics:tick"')) seen.ticks += 1;
    });
    socket.on("framesent", ({ payload }) => {
      if (String(payload).includes('"metrics:unsubscribe"')) seen.unsubscribed += 1;
    });
  });
  return seen;
}

/** Waits until a condition of the test holds; it is looked at whenever the page draws. */
async function until(page, condition) {
  while (!condition()) await page.evaluate(() => new Promise((done) => requestAnimationFrame(done)));
}

/** Figures change by themselves, and nothing is sent to a page that is hidden. */
export async function ticking(context, server) {
  const hidden = await context.newPage();
  const seen = countTicks(hidden);
  await hidden.goto(`${server.url}/live`);
  const figure = (page, name) => page.locator("dl div").filter({ hasText: name }).locator("dd");
  await figure(hidden, "In flight").getByText("0", { exact: true }).waitFor();
  const { id, end } = await begin(server);
  await figure(hidden, "In flight").getByText("1", { exact: true }).waitFor();
  await hidden.evaluate(() => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await until(hidden, () => seen.unsubscribed > 0);
  const shown = await context.newPage();
  const others = countTicks(shown);
  // A tick that was on its way may still arrive.
  await shown.goto(`${server.url}/live`);
  await until(shown, () => others.ticks > 0);
  const before = seen.ticks;
  await post(server, `/api/requests/${id}/cancel`, {});
  await end;
  await figure(shown, "In flight").getByText("0", { exact: true }).waitFor();
  const wanted = others.ticks + 3;
  await until(shown, () => others.ticks >= wanted);
  assert.equal(seen.ticks, before, "a hidden page gets no ticks");
  assert.equal(await figure(hidden, "In flight").textContent(), "1");
  await hidden.evaluate(() => {
    delete document.hidden;
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await figure(hidden, "In flight").getByText("0", { exact: true }).waitFor();
  // The overview follows by itself, too.
  await shown.goto(server.url);
  const requests = shown.locator("dl div").filter({ has: shown.getByText("Requests", { exact: true }) }).locator("dd");
  const count = Number.parseInt(await requests.textContent());
  await post(server, "/api/playground/chat/completions", { model: "quick", messages: [{ role: "user", content: "One more" }] });
  await shown.waitForFunction((count) => [...document.querySelectorAll("dl div")].some((one) => one.querySelector("dt").textContent === "Requests" && Number.parseInt(one.querySelector("dd").textContent) > count), count);
  await Promise.all([hidden.close(), shown.close()]);
}

/** Checks are made when somebody asks for them, and each says what it has found. */
export async function examine(context, server) {
  const page = await open(context, server, "/doctor");
  await page.getByText("Nothing was checked yet").waitFor();
  await page.getByRole("button", { name: "Check now" }).click();
  await page.getByRole("button", { name: "Copy report" }).waitFor();
  await page.getByText(/check(s)? failed|found something to look at|found nothing wrong/).waitFor();
  assert.ok((await page.locator("#main li").count()) > 5, "there are many checks");
  await page.reload();
  await page.getByRole("button", { name: "Copy report" }).waitFor();
  await page.close();
}

/** A setting that needs a restart says so, and the bar has the button. */
export async function restart(context, server) {
  const page = await open(context, server, "/settings");
  const port = await freePort();
  const field = page.getByLabel(/^Port of the router/);
  await field.fill("0");
  await expecting([/400/], async () => {
    await field.press("Enter");
    await page.locator("[aria-invalid=true]").waitFor();
  });
  await field.fill(String(port));
  await field.press("Enter");
  await page.getByText("1 change waits for a restart of the router").waitFor();
  await page.getByTestId("lifecycle").getByText(`Running :${server.routerPort}`, { exact: true }).waitFor();
  await page.getByRole("button", { name: "Restart the router now" }).click();
  await page.getByTestId("lifecycle").getByText(`Running :${port}`, { exact: true }).waitFor();
  await page.getByText("waits for a restart of the router").waitFor({ state: "detached" });
  assert.equal((await fetch(`http://127.0.0.1:${port}/health`)).status, 200);
  await page.goto(`${server.url}/connect`);
  await page.getByText(`http://127.0.0.1:${port}/v1/chat/completions`).first().waitFor();
  server.routerPort = port;
  await page.close();
}

/** A login is pasted, shown with its expiry and without its secret, and removed. */
export async function login(context, server) {
  const page = await open(context, server, "/qwen");
  const claims = Buffer.from(JSON.stringify({ exp: Math.floor(Date.now() / 1000) + 10 * 86_400 })).toString("base64url");
  const token = `eyJhbGciOiJIUzI1NiJ9.${claims}.canary-5f0c1e`;
  const header = page.getByLabel("Cookie header");
  const add = page.getByRole("button", { name: "Add the login" });
  await header.fill("hello");
  await page.getByText("This is not a Cookie header").waitFor();
  await header.fill("Cookie: a=x; ssxmod_itna=y");
  await page.getByText("The cookie named token is missing").first().waitFor();
  await header.fill(`Cookie: a=x; token=${token}; ssxmod_itna=y`);
  await page.getByText("The token was found. It expires").waitFor();
  await page.getByLabel("Label").fill("work");
  await add.click();
  await page.getByRole("heading", { name: "work", exact: true }).waitFor();
  assert.equal(await header.inputValue(), "", "the field is empty again");
  const canary = "canary-5f0c1e";
  assert.ok(!(await page.content()).includes(canary), "the login is not in the page");
  const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href]));
  assert.ok(!stored.includes(canary), "the login is not kept in the browser");
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByRole("heading", { name: "work", exact: true }).waitFor({ state: "detached" });
  await page.close();
}
