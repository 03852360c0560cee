// The console behind a reverse proxy that shows it below a path.
import assert from "node:assert/strict";
import { expecting, open, settled } from "./browser.mjs";
import { forward } from "./preview.mjs";

const PATH = "/signalbox";

/** Every kind of request goes below the path: files, the API, events, downloads, pages by their address. */
export async function belowPath(context, server) {
  const proxy = await forward(server.api, { path: PATH, named: true });
  const outside = [];
  context.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (!pathname.startsWith(`${PATH}/`)) outside.push(pathname);
  });
  const page = await open(context, { url: proxy.url }, `${PATH}/`);
  await page.getByText("API connected").waitFor();
  await page.getByTestId("lifecycle").getByText(`Running :${server.routerPort}`, { exact: true }).waitFor();
  await page.getByRole("link", { name: "Requests", exact: true }).first().click();
  await page.waitForURL(`${proxy.url}${PATH}/requests`);
  // An address is opened, and not come to.
  for (const path of ["/providers/echo", "/usage?range=24h", "/logs", "/no/such/page"]) {
    await page.goto(`${proxy.url}${PATH}${path}`);
    await settled(page);
  }
  await page.getByRole("heading", { level: 1, name: "Page not found" }).waitFor();
  await page.goto(`${proxy.url}${PATH}/playground?a=echo`);
  await page.getByLabel("Message").fill("Below a path?");
  await page.keyboard.press("Control+Enter");
  await page.getByRole("link", { name: "In the log" }).click();
  await page.getByRole("article", { name: "Assistant" }).getByText("Below a path?").waitFor();
  for (const link of await page.locator("a[href^='/']").evaluateAll((links) => links.map((one) => one.getAttribute("href"))))
    assert.ok(link.startsWith(`${PATH}/`) || link === PATH, link);
  assert.deepEqual(outside, [], "nothing is asked outside the path");
  await page.close();
  proxy.close();
}

/** A proxy that does not name the path gets a page that says what is wrong. */
export async function unnamedPath(context, server) {
  const proxy = await forward(server.api, { path: PATH, named: false });
  await expecting([/404/, /MIME/], async () => {
    const page = await open(context, { url: proxy.url }, `${PATH}/requests`);
    await page.getByText("name it in the header X-Forwarded-Prefix").waitFor();
    await page.close();
  });
  proxy.close();
}
