// The logs: earlier lines, search on the server, colours, and the whole file.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { open } from "./browser.mjs";

export async function logs(context, server) {
  const page = await open(context, server, "/logs?log=qwen-proxy");
  const log = page.getByRole("log", { name: "Log lines" });
  await log.locator("time").first().waitFor();
  // Earlier lines come whenever the page is scrolled to its top, as far as the log has any.
  const begins = page.getByText("The log begins with these lines.");
  while (!(await begins.isVisible())) {
    await log.press("Home");
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(done)));
  }
  // A search is the server's, and what is new is filtered alike.
  const search = page.getByLabel("Search the log");
  await search.fill("listening");
  await page.waitForURL(/q=listening/);
  await log.locator("mark").first().waitFor();
  const rows = await log.locator("[data-index]").allTextContents();
  assert.ok(rows.length > 0 && rows.every((row) => /listening/i.test(row)), "only lines that match");
  await search.fill("there is no such line");
  await page.getByText("No line matches").waitFor();
  await page.getByRole("button", { name: "Show all lines" }).click();
  await log.locator("time").first().waitFor();
  await page.getByLabel("Level").selectOption("error");
  await page.waitForURL(/level=error/);
  await page.getByText("No line matches").or(log.locator("b").first()).waitFor();
  await page.getByLabel("Level").selectOption("");
  await log.locator("time").first().waitFor();
  // The file as it is.
  await page.getByRole("button", { name: "Download" }).click();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("menuitem", { name: "The whole log" }).click()]);
  const text = readFileSync(await download.path(), "utf8");
  assert.match(text, /listening/);
  await page.close();
}
