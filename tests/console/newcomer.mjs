// From nothing to the answer of a provider, through the console alone.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { open, settled } from "./browser.mjs";

const KEY = "sk-newcomer-000000000000000000";

/** The steps that the overview shows as done. */
const done = (page) => page.locator("ol li").filter({ has: page.getByLabel("Done:") });

export async function newcomer(context, server, fake) {
  const page = await open(context, server, "/");
  await page.getByRole("heading", { name: "First steps" }).waitFor();
  await done(page).filter({ hasText: "The router runs" }).waitFor();
  assert.equal(await done(page).count(), 1, "nothing else was done");
  for (const name of [/^Qwen/, /^Ollama/, /^LM Studio/, /^vLLM/, /^llama\.cpp/])
    await page.getByRole("list", { name: "Providers to begin with" }).getByRole("link", { name }).waitFor();
  await page.getByRole("link", { name: "Add a provider" }).click();
  await page.getByRole("searchbox").fill("compatible");
  await page.getByRole("link", { name: /OpenAI-compatible/ }).first().click();
  await page.getByLabel(/^Name/).fill("My provider");
  await page.getByLabel(/^Base URL/).fill(fake.url);
  await page.getByLabel(/^API key\b/).fill("sk-wrong-00000000000000000000");
  await page.getByRole("button", { name: "Save and test" }).click();
  // The provider's own words, and what usually helps.
  await page.getByText("It does not work yet.").waitFor();
  await page.getByRole("button", { name: "Replace" }).first().click();
  await page.getByLabel(/^API key\b/).fill(KEY);
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText(/^Saved/).first().waitFor();
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await page.getByText(/^It answers/).waitFor();
  assert.ok(!(await page.content()).includes(KEY), "a key goes in, and never out");
  await page.getByRole("button", { name: "Fetch its models" }).click();
  await page.getByText(/^It has \d+ model/).waitFor();
  // A message without leaving the overview; then, only a client is missing.
  await page.getByRole("link", { name: "Overview", exact: true }).first().click();
  await page.waitForFunction(() => document.querySelectorAll('ol [aria-label="Done:"]').length === 2);
  await page.getByLabel("Model to ask").selectOption("fake-echo");
  await page.getByRole("button", { name: "Send a test message" }).click();
  await page.getByText("fake-echo: Is anybody there?").waitFor();
  await page.waitForFunction(() => document.querySelectorAll('ol [aria-label="Done:"]').length === 3);
  await page.getByText("3 of 4 done").waitFor();
  await page.getByRole("link", { name: "Connect a client", exact: true }).first().click();
  await page.getByLabel("Model", { exact: true }).selectOption("fake-echo");
  const command = await page.locator("pre").first().textContent();
  assert.match(command, /fake-echo/);
  const { stdout } = await promisify(execFile)("sh", ["-c", command]);
  assert.match(stdout, /data: \[DONE\]/);
  await page.getByRole("link", { name: "Playground", exact: true }).first().click();
  // The page before has a field of the same name.
  await page.getByRole("heading", { level: 1, name: "Playground" }).waitFor();
  await page.getByLabel("Model", { exact: true }).fill("fake-echo");
  await page.getByLabel("Message").fill("How do you do?");
  await page.keyboard.press("Control+Enter");
  await page.getByRole("link", { name: "In the log" }).click();
  await page.getByRole("article", { name: "Assistant" }).getByText("How do you do?").waitFor();
  // All steps are done, so that they are not shown any more.
  await page.getByRole("link", { name: "Overview", exact: true }).first().click();
  const known = page.waitForResponse((response) => /api\/requests\?status=completed/.test(response.url()));
  await page.reload();
  await known;
  await settled(page);
  await page.getByRole("heading", { name: "First steps" }).waitFor({ state: "detached" });
  await page.close();
}

export { KEY };
