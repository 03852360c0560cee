// The playground: what it keeps, what it sends, and what it says when something fails.
import assert from "node:assert/strict";
import { expecting, holds, open } from "./browser.mjs";

const answer = (page, model) => page.getByRole("region", { name: `Answer of ${model}` });

async function ask(page, text, label = "Message") {
  await page.getByLabel(label, { exact: true }).fill(text);
  await page.keyboard.press("Control+Enter");
}

/** The name that an empty page begins with exists, and a deleted one is not remembered. */
async function firstModel(page, server) {
  await page.goto(`${server.url}/playground?a=deleted-long-ago`);
  await page.getByText("No model or route that is configured has this name.").waitFor();
  await page.goto(`${server.url}/playground`);
  // The only route is `quick`.
  await holds(page, page.getByLabel("Model", { exact: true }), "quick");
}

/** An answer arrives while another page is shown, and survives a reload. A key that was typed does not. */
async function leaving(page, server) {
  await page.goto(`${server.url}/playground?a=fake%2Ffake-20x50`);
  await ask(page, "Go on. My key is sk-live-0123456789abcdefghij");
  await answer(page, "fake/fake-20x50").getByText("answering").waitFor();
  await page.getByRole("link", { name: "Logs", exact: true }).first().click();
  await page.getByRole("heading", { level: 1, name: "Logs" }).waitFor();
  await page.getByRole("link", { name: "Playground", exact: true }).first().click();
  await answer(page, "fake/fake-20x50").getByText("done", { exact: true }).waitFor();
  await page.getByText("20 out").waitFor();
  await page.reload();
  await answer(page, "fake/fake-20x50").getByText("done", { exact: true }).waitFor();
  await page.getByText("Go on. My key is [key]").waitFor();
  await page.getByRole("button", { name: "Clear", exact: true }).click();
  await page.getByText("Nothing was sent yet").waitFor();
  await page.getByRole("button", { name: "Bring it back" }).click();
  await answer(page, "fake/fake-20x50").waitFor();
  await page.getByRole("button", { name: "Clear", exact: true }).click();
}

/** A stopped answer says what it has cost until then. */
async function stopping(page, server) {
  await page.goto(`${server.url}/playground?a=fake%2Ffake-9999x100`);
  await ask(page, "Count.");
  const card = answer(page, "fake/fake-9999x100");
  await card.getByText("answering").waitFor();
  await card.getByRole("button", { name: "Stop" }).click();
  await card.getByText("stopped", { exact: true }).waitFor();
  await card.getByText(/^billed until then: /).waitFor();
}

/** A failure has its status, and the message can be sent again or edited. */
async function failing(page, server) {
  await page.goto(`${server.url}/playground?a=fake%2Ffake-400`);
  const card = answer(page, "fake/fake-400");
  // The browser reports refusals.
  await expecting([/400/], async () => {
    await ask(page, "Is this right?");
    await card.getByText(/^Status 400/).waitFor();
    await card.getByRole("button", { name: "Send again" }).click();
    await card.getByText("waiting").or(card.getByText("waits")).or(card.getByText(/^Status 400/)).first().waitFor();
    await card.getByText(/^Status 400/).waitFor();
  });
  await card.getByRole("link", { name: "In the log" }).waitFor();
  await card.getByRole("button", { name: "Edit the message" }).click();
  assert.equal(await page.getByLabel("Message", { exact: true }).inputValue(), "Is this right?", "the input is kept");
  await page.getByLabel("Model", { exact: true }).fill("fake/fake-echo");
  await ask(page, "Now it is.");
  await answer(page, "fake/fake-echo").getByText("done", { exact: true }).waitFor();
}

/** Mistakes are shown where they are, and nothing is sent with them. */
async function parameters(page) {
  await page.getByText(/^System prompt and parameters/).click();
  const send = page.getByRole("button", { name: "Send", exact: true });
  await page.getByLabel("Message", { exact: true }).fill("With parameters");
  await page.getByLabel("Temperature").fill("7");
  await page.getByText("It must be a number from 0 to 2").waitFor();
  assert.equal(await send.getAttribute("aria-disabled"), "true");
  await page.getByLabel("Temperature").fill("0.5");
  await page.getByLabel("Tools").fill('[{"type": "function"}]');
  await page.getByText("[0].function.name is missing").waitFor();
  await page.getByLabel("Tools").fill('[{"type": "function", "function": {"name": "f"}}]');
  await page.getByLabel("JSON schema of the answer").fill('{"type": "object"}');
  const sent = page.waitForRequest((request) => request.url().endsWith("/api/playground/chat/completions"));
  await send.click();
  const body = (await sent).postDataJSON();
  assert.deepEqual(
    [body.temperature, body.tools[0].function.name, body.response_format.json_schema.schema],
    [0.5, "f", { type: "object" }],
  );
  for (const label of ["Temperature", "Tools", "JSON schema of the answer"]) await page.getByLabel(label).fill("");
}

/** Two models have one message or two; one of them can be stopped. */
async function apart(page, server) {
  await page.goto(`${server.url}/playground?a=fake%2Ffake-echo&b=fake%2Ffake-9999x100`);
  await ask(page, "Both of you");
  const slow = answer(page, "fake/fake-9999x100").last();
  await slow.getByText("answering").waitFor();
  await slow.getByRole("button", { name: "Stop" }).click();
  await page.getByRole("switch", { name: "One message for both" }).click();
  await ask(page, "Only the first", "Message to fake/fake-echo");
  await answer(page, "fake/fake-echo").last().getByText("Only the first").waitFor();
  await page.getByRole("switch", { name: "One message for both" }).click();
}

/** The same message five times at once has a table of times. */
async function severalTimes(page, server) {
  await page.goto(`${server.url}/playground?a=fake%2Ffake-echo`);
  await page.getByLabel("How often").selectOption("5");
  await ask(page, "Five of you");
  const card = answer(page, "fake/fake-echo").last();
  await card.getByText(/^5 answers; took/).waitFor();
  await card.getByRole("button", { name: "3", exact: true }).click();
  await card.getByRole("button", { name: "3, shown" }).waitFor();
  assert.equal(await card.getByRole("link", { name: /in the log$/ }).count(), 5);
  await page.getByLabel("How often").selectOption("1");
}

/** What another page hands over is read once; the conversation before it can be brought back. */
async function handover(page, server) {
  await page.evaluate(() => {
    const messages = [
      { role: "system", content: "Be brief." },
      { role: "user", content: "First question" },
      { role: "assistant", content: "First answer" },
      { role: "user", content: "Second question" },
    ];
    sessionStorage.setItem("signalbox.playground.handover", JSON.stringify({ messages, model: "fake/fake-echo", params: { temperature: 0.1 } }));
  });
  await page.goto(`${server.url}/playground?a=fake%2Ffake-echo`);
  await page.getByText("This is the conversation of a logged request").waitFor();
  assert.equal(await page.getByLabel("Message", { exact: true }).inputValue(), "Second question");
  await page.getByText("2 messages sent ahead").waitFor();
  const sent = page.waitForRequest((request) => request.url().endsWith("/api/playground/chat/completions"));
  await page.getByRole("button", { name: "Send", exact: true }).click();
  const { messages, temperature } = (await sent).postDataJSON();
  assert.deepEqual([messages.map(({ role }) => role), temperature], [["system", "user", "assistant", "user"], 0.1]);
  await answer(page, "fake/fake-echo").getByText("done", { exact: true }).waitFor();
  await page.reload();
  assert.equal(await page.evaluate(() => sessionStorage.getItem("signalbox.playground.handover")), null);
  await page.getByText("2 messages sent ahead").waitFor();
}

export async function playground(context, server) {
  const page = await open(context, server, "/playground");
  await firstModel(page, server);
  await leaving(page, server);
  await stopping(page, server);
  await failing(page, server);
  await parameters(page);
  await apart(page, server);
  await severalTimes(page, server);
  await handover(page, server);
  await page.close();
}
