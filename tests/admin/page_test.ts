// The page in a real browser: what a developer and an operator do with it, against the program as a process.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import { renderPage } from "../../src/admin/page/page.ts";
import { browserTest, CHROMIUM, hasChromium, PageBench } from "./page_harness.ts";

const OPTIONS = {
  addresses: [{ name: "echo", hostname: "127.0.0.1", port: 8765 }],
  version: "1.2.3",
  isSecure: false,
  scope: "wsward:admin",
  host: "localhost",
};

function policyOf(response: Response): string {
  return response.headers.get("content-security-policy") ?? "";
}

Deno.test("the page's policy names its own text by hash and the endpoints by address, and nothing else", async () => {
  const response = renderPage(OPTIONS);
  assert.equal(response.headers.get("content-type"), "text/html; charset=utf-8");
  assert.match(
    policyOf(response),
    /^default-src 'none'; script-src 'sha256-[^']{44}'; style-src 'sha256-[^']{44}'; img-src data:; connect-src 'self' ws:\/\/127\.0\.0\.1:8765; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'$/,
  );
  const text = await response.text();
  assert.match(text, /"url":"ws:\/\/127\.0\.0\.1:8765\/"/);
  assert.match(text, /"1009":\{"name":"Message Too Big","meaning":/);
  assert.match(text, /"origin":"web pages of other origins may not connect"/);
  assert.match(text, /"tokenCommand":"deno task wsward token create --user NAME"/);
  assert.match(text, /"adminCommand":"deno task wsward token create --user NAME --claim scope=wsward:admin"/);
});

Deno.test("the page goes to the host that it came from where a listener takes every address", async () => {
  for (
    const [hostname, host, url, source] of [
      ["0.0.0.0", "localhost", "ws://localhost:80/", "ws://localhost:80"],
      ["::", "[::1]", "ws://[::1]:80/", "ws://*:80"],
      ["::1", "localhost", "ws://[::1]:80/", "ws://*:80"],
    ] as const
  ) {
    const response = renderPage({ ...OPTIONS, host, addresses: [{ name: "echo", hostname, port: 80 }] });
    assert.match(policyOf(response), new RegExp(`connect-src 'self' ${source.replace("*", "\\*")};`));
    assert.ok((await response.text()).includes(`"url":"${url}"`));
  }
});

Deno.test("the page is there, without endpoints, before anything listens, and knows wss", async () => {
  assert.match(policyOf(renderPage({ ...OPTIONS, addresses: [] })), /connect-src 'self';/);
  assert.match(await renderPage({ ...OPTIONS, addresses: [] }).text(), /"endpoints":\[\]/);
  assert.match(policyOf(renderPage({ ...OPTIONS, isSecure: true })), /'self' wss:\/\/127\.0\.0\.1:8765;/);
});

/** A computed style; as text, because the types of Deno know no documents. */
function styleOf(page: Page, selector: string, property: string): Promise<string> {
  return page.evaluate(`getComputedStyle(document.querySelector("${selector}")).${property}`);
}

Deno.test({
  name: hasChromium
    ? "Chromium is there for the tests of the page"
    : `NOT TESTED: the page, because there is no ${CHROMIUM}; install it with: apt-get install -y chromium`,
  ignore: !hasChromium,
  fn: () => {},
});

browserTest("the playground echoes text and binary, measures, and explains a close in words", async () => {
  await using bench = await PageBench.open(["--max-message-size", "1KiB"]);
  const { page } = bench;
  await page.getByRole("button", { name: "Connect" }).click();
  await bench.logged("Connected");
  await page.getByRole("textbox", { name: "Message" }).fill("<img src=x onerror=alert(1)>");
  await page.getByRole("button", { name: "Send" }).click();
  await bench.logged("Server received: <img src=x onerror=alert(1)>");
  await bench.logged(/Received .*text, 45 B, after [\d.]+ ms/);

  await page.getByRole("combobox", { name: "Send" }).selectOption("hex");
  await page.getByRole("textbox", { name: "Message" }).fill("00 ff 7");
  await page.getByRole("button", { name: "Send" }).click();
  await bench.logged(/This is not hex/);
  await page.getByRole("textbox", { name: "Message" }).fill("00 ff 7a");
  await page.getByRole("button", { name: "Send" }).click();
  await bench.logged(/Received .*binary, 3 B, after/);

  await page.getByRole("button", { name: "Measure" }).click();
  await bench.logged(/fastest [\d.]+ ms, median [\d.]+ ms, slowest [\d.]+ ms/);

  await page.getByRole("combobox", { name: "Send" }).selectOption("file");
  await page.getByRole("button", { name: "File" }).setInputFiles({
    name: "big",
    mimeType: "application/octet-stream",
    buffer: Buffer.alloc(1025),
  });
  await page.getByRole("button", { name: "Send" }).click();
  await bench.logged("Closed: 1009 Message Too Big");
  await bench.logged(/Meaning: a message is over the limit; it was refused unread/);
  await bench.logged(/Settings: --max-message-size, --max-fragments/);
  await page.getByRole("button", { name: "Send" }).click();
  await bench.logged("Connect first.");
  bench.assertClean();
});

browserTest("the playground presents a token either way and speaks wsward.v1", async () => {
  await using bench = await PageBench.open();
  const { page } = bench;
  const token = await bench.mint("ada");
  await bench.connectSecure(token, "subprotocol");
  await bench.logged(/wsward\.text/);
  await bench.logged("Authenticated!");
  await page.getByRole("button", { name: "Disconnect" }).click();
  await bench.logged("Closed: 1000 Normal Closure");

  await bench.connectSecure(token, "message", "wsward.v1");
  await bench.logged("a token, not shown here");
  await page.getByRole("log").getByText("Authenticated!").nth(1).waitFor();
  await page.getByRole("combobox", { name: "Fill in a request" }).selectOption("whoami");
  await page.getByRole("button", { name: "Send" }).click();
  await bench.logged(/"user":"ada"/);
  await page.getByRole("button", { name: "Measure" }).click();
  await bench.logged(/median/);
  await page.getByRole("button", { name: "Disconnect" }).click();

  await bench.connectSecure("not-a-token", "message");
  await bench.logged(/Closed: 3000 Unauthorized/);
  assert.ok(!(await page.getByRole("log").innerText()).includes(token));
  bench.assertClean();
});

browserTest("the playground says what a browser can't: why it may have been refused", async () => {
  await using bench = await PageBench.open(["--max-connections-per-ip", "1"]);
  const { page } = bench;
  await page.getByRole("button", { name: "Connect" }).click();
  await bench.logged("Connected");
  const other = await page.context().newPage();
  await other.goto(bench.url);
  await other.getByRole("button", { name: "Connect" }).click();
  await other.getByRole("log").getByText(/handshake\.refused.*--allow-origin http:\/\/127/s).waitFor();
});

browserTest("the keyboard alone connects, sends and disconnects", async () => {
  await using bench = await PageBench.open();
  const { page } = bench;
  const tabTo = async (name: string) => {
    for (let presses = 0; presses < 20; presses++) {
      await page.keyboard.press("Tab");
      const focused = page.locator(":focus");
      if (await focused.count() > 0 && await focused.and(page.getByRole("button", { name })).count() > 0) {
        return;
      }
    }
    assert.fail(`Tab does not get to ${name}`);
  };
  await tabTo("Connect");
  const outline = await styleOf(page, ":focus", "outlineWidth");
  assert.equal(outline, "3px");
  await page.keyboard.press("Enter");
  await bench.logged("Connected");
  await tabTo("Send");
  await page.keyboard.press("Enter");
  await bench.logged("Server received: hello");
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.type("again");
  await page.keyboard.press("Control+Enter");
  await bench.logged(/Server received: .*again/);
  bench.assertClean();
});

browserTest("a phone shows all of it without scrolling sideways", async () => {
  await using bench = await PageBench.open([], { viewport: { width: 360, height: 740 } });
  const { page } = bench;
  await bench.watch(await bench.mint("root", "--claim", "scope=wsward:admin"));
  await page.getByText("Watching: all is well").waitFor();
  await bench.connectSecure(await bench.mint("u".repeat(256)), "message");
  await bench.logged("Authenticated!");
  await page.getByRole("region", { name: "Sessions" }).getByText("uuu").waitFor();
  for (const name of ["Close the session of", "Revoke the tokens of", "Ban 127.0.0.1"]) {
    const box = await page.getByRole("button", { name }).first().boundingBox();
    assert.ok(box !== null && box.x >= 0 && box.x + box.width <= 360, name);
  }
  const width = await page.locator("html").evaluate((node) => node.scrollWidth);
  assert.equal(width, 360);
  bench.assertClean();
});

browserTest("the page follows the system: light or dark", async () => {
  await using bench = await PageBench.open([], { colorScheme: "light" });
  const { page } = bench;
  const ground = () => styleOf(page, "body", "backgroundColor");
  const [light, lightPicture] = [await ground(), await page.screenshot()];
  await page.emulateMedia({ colorScheme: "dark", reducedMotion: "reduce" });
  const [dark, darkPicture] = [await ground(), await page.screenshot()];
  assert.notEqual(light, dark);
  assert.notDeepEqual(lightPicture, darkPicture);
  assert.equal(await styleOf(page, "html", "scrollBehavior"), "auto");
  bench.assertClean();
});
