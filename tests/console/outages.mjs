// The console while its server is away, and when its session has ended.
import assert from "node:assert/strict";
import { expecting, open } from "./browser.mjs";

/** What a browser reports about requests to a server that is away, or that wants the token. */
const AWAY = [/ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_SOCKET|WebSocket|Failed to load resource/, /401|Unauthorized|502/];

/** api-server is ended and started again under an open form. */
export async function restarted(context, server) {
  const page = await open(context, server, "/providers/fake");
  const description = page.getByLabel("Description");
  await description.fill("not saved yet");
  await page.getByText("API connected").waitFor();
  await expecting(AWAY, async () => {
    await server.halt();
    await page.getByText("Disconnected since").waitFor();
    assert.equal(await description.inputValue(), "not saved yet", "the input stays");
    const save = page.getByRole("button", { name: "Save", exact: true });
    assert.deepEqual([await save.getAttribute("aria-disabled"), await save.getAttribute("title")], ["true", "The server does not answer"]);
    await server.resume();
    await page.getByText("Disconnected since").waitFor({ state: "detached" });
    await page.getByText("API connected").waitFor();
    await page.getByTestId("lifecycle").getByText(`Running :${server.routerPort}`, { exact: true }).waitFor();
  });
  assert.equal(await description.inputValue(), "not saved yet", "the input survives");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText(/^Saved/).first().waitFor();
  const provider = await (await fetch(`${server.url}/api/providers/fake`)).json();
  assert.equal(provider.description, "not saved yet");
  await page.close();
}

/** With a required token, a restart ends all sessions: the console asks over the form, which goes on afterwards. */
export async function expired(context, server) {
  const page = await open(context, server, "/providers/echo");
  const signIn = page.getByRole("dialog", { name: "Sign in" });
  const enter = async () => {
    await page.getByLabel("Control token").fill(await server.token());
    await signIn.getByRole("button", { name: "Sign in" }).click();
    await signIn.waitFor({ state: "detached" });
  };
  await expecting(AWAY, async () => {
    await enter();
    await page.getByLabel("Description").fill("in the middle");
    await server.halt();
    await server.resume();
    await signIn.waitFor();
    await enter();
    await page.getByText("API connected").waitFor();
  });
  assert.equal(await page.getByLabel("Description").inputValue(), "in the middle", "the input survives signing in again");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText(/^Saved/).first().waitFor();
  await page.close();
}
