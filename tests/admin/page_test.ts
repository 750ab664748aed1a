// The page in a real browser: what a developer and an operator do with it, against the program as a process.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { renderPage } from "../../src/admin/page/page.ts";
import { type Program, run, startServer } from "../support/process.ts";

const CHROMIUM = "/usr/bin/chromium";
const hasChromium = await Deno.stat(CHROMIUM).then(({ isFile }) => isFile, () => false);

/** How long the browser may take for anything, in milliseconds. */
const TIMEOUT_MS = 20_000;

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

let launched: Promise<Browser> | undefined;

/** The one browser of this file; a context of it has a profile of its own, as a new browser would. */
function launchBrowser(): Promise<Browser> {
  return launched ??= chromium.launch({
    executablePath: CHROMIUM,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

Deno.test.afterAll(async () => await (await launched)?.close());

/** A server, and its page in a browser that tells what goes wrong. */
class PageBench implements AsyncDisposable {
  readonly program: Program;
  readonly page: Page;
  readonly url: string;
  /** Everything that the console shows as an error, violations of the policy too. */
  readonly errors: string[] = [];
  /** The origins of all requests and WebSockets. */
  readonly origins = new Set<string>();
  #owned = new AsyncDisposableStack();

  private constructor(program: Program, url: string, page: Page) {
    this.program = program;
    this.url = url;
    this.page = page;
    page.setDefaultTimeout(TIMEOUT_MS);
    page.on("console", (message) => {
      if (message.type() === "error") this.errors.push(message.text());
    });
    page.on("pageerror", (error) => this.errors.push(error.message));
    page.on("request", (request) => this.#noteOrigin(request.url()));
    page.on("websocket", (socket) => this.#noteOrigin(socket.url()));
  }

  static async open(args: readonly string[] = [], options: BrowserContextOptions = {}): Promise<PageBench> {
    await using owned = new AsyncDisposableStack();
    const program = owned.use(startServer(["--admin-listen", "127.0.0.1:0", ...args]));
    const url = (await program.stdout.until(/Admin on (http:\/\/\S+\/)\n/))[1]!;
    const browser = await launchBrowser();
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    owned.defer(() => context.close());
    const bench = new PageBench(program, url, await context.newPage());
    await bench.page.goto(url).catch((cause) => {
      throw new Error(`Cannot open the page; the server says: ${program.stderr.text}`, { cause });
    });
    bench.#owned = owned.move();
    return bench;
  }

  #noteOrigin(url: string): void {
    const { protocol, host } = new URL(url);
    if (protocol !== "data:") this.origins.add(`${protocol}//${host}`);
  }

  /** Makes a token for `user`. */
  async mint(user: string, ...args: string[]): Promise<string> {
    const { stdout } = await run(["token", "create", "--user", user, ...args], {
      folder: this.program.folder,
    });
    return stdout.trim();
  }

  /** Resolves when the messages of the playground show this. */
  async logged(text: string | RegExp): Promise<void> {
    await this.page.getByRole("log").getByText(text).last().waitFor();
  }

  async watch(token: string): Promise<void> {
    await this.page.getByLabel("Token of an administrator").fill(token);
    await this.page.getByRole("button", { name: "Watch" }).click();
  }

  async connectSecure(token: string, presentation: string, subprotocol = ""): Promise<void> {
    await this.page.getByLabel("secure:").check();
    await this.page.getByRole("combobox", { name: "Subprotocol" }).selectOption(subprotocol);
    await this.page.getByLabel("Token", { exact: true }).fill(token);
    await this.page.getByRole("combobox", { name: "Present it as" }).selectOption(presentation);
    await this.page.getByRole("button", { name: "Connect" }).click();
  }

  /** That nothing went wrong unseen and that no other host was asked for anything. */
  assertClean(): void {
    assert.deepEqual(this.errors, []);
    for (const origin of this.origins) assert.match(origin, /^(http|ws):\/\/127\.0\.0\.1:\d+$/);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync();
  }
}

/** A computed style; as text, because the types of Deno know no documents. */
function styleOf(page: Page, selector: string, property: string): Promise<string> {
  return page.evaluate(`getComputedStyle(document.querySelector("${selector}")).${property}`);
}

function browserTest(name: string, body: () => Promise<void>): void {
  // Playwright keeps timers and pipes of its own for as long as the process lives.
  Deno.test({ name, ignore: !hasChromium, sanitizeOps: false, sanitizeResources: false, fn: body });
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

browserTest("the monitor shows sessions, counts and events, and its button ends a session", async () => {
  await using bench = await PageBench.open();
  const { page } = bench;
  await bench.watch(await bench.mint("root", "--claim", "scope=wsward:admin"));
  await page.getByText("Watching: all is well").waitFor();
  await page.getByText("No session is open.").waitFor();
  await bench.connectSecure(await bench.mint("<b>eve</b>"), "message");
  const row = page.getByRole("region", { name: "Sessions" }).getByRole("row", { name: "<b>eve</b>" });
  await row.waitFor();
  await page.getByRole("list", { name: "Recent events" }).getByText("session.opened").waitFor();
  await page.getByRole("img", { name: "Connections, open 1, sessions 1" }).waitFor();

  await row.getByRole("button", { name: "Close" }).click();
  await page.getByRole("button", { name: "Leave it" }).click();
  await row.getByRole("button", { name: "Close" }).click();
  await page.getByRole("button", { name: "Close the session", exact: true }).click();
  await bench.logged("Closed: 1008 Policy Violation");
  await bench.logged(/closed by an administrator/);
  await page.getByText("No session is open.").waitFor();
  await page.locator("#counts").getByText("1008 Policy Violation").waitFor();
  assert.equal(await page.getByRole("alertdialog").count(), 0);
  bench.assertClean();
  const kept = await page.context().storageState();
  assert.deepEqual([kept.cookies, kept.origins, page.url()], [[], [], bench.url]);
});

browserTest("the monitor lists connections, closes them, and bans and lets in their addresses", async () => {
  await using bench = await PageBench.open();
  const { page } = bench;
  const admin = await bench.mint("root", "--claim", "scope=wsward:admin");
  await page.getByRole("button", { name: "Connect" }).click();
  await bench.logged("Connected");
  await bench.watch(admin);
  const row = page.getByRole("region", { name: "Connections" }).getByRole("row", { name: "127.0.0.1" });
  await row.getByText("echo").waitFor();
  await row.getByText(/\d B\/s/).first().waitFor();
  await row.getByRole("button", { name: "Ban" }).click();
  await page.getByRole("button", { name: "Ban the address" }).click();
  await page.getByText("The server did not do this: loopback addresses are banned with --ban-loopback only")
    .waitFor();
  await page.getByRole("button", { name: "Leave it" }).click();
  await row.getByRole("button", { name: "Close" }).click();
  await page.getByRole("button", { name: "Close the connection", exact: true }).click();
  await bench.logged("Closed: 1008 Policy Violation");
  await page.getByText("No connection is open.").waitFor();

  const response = await fetch(`${bench.url}bans`, {
    method: "POST",
    headers: { "Authorization": `Bearer ${admin}`, "Content-Type": "application/json" },
    body: JSON.stringify({ address: "192.0.2.7", ttl_seconds: 60 }),
  });
  assert.equal(response.status, 201);
  await response.body?.cancel();
  const ban = page.getByRole("region", { name: "Bans" }).getByRole("row", { name: "192.0.2.7" });
  await ban.getByRole("button", { name: "Lift" }).click();
  await page.getByRole("button", { name: "Lift the ban", exact: true }).click();
  await page.getByText("Nobody is banned.").waitFor();
  // The browser itself tells of the status that the ban of a loopback address got.
  assert.deepEqual(bench.errors.splice(0).map((text) => /409/.test(text)), [true]);
  bench.assertClean();
});

browserTest("the monitor revokes a user, takes that back, and finds it among the events", async () => {
  await using bench = await PageBench.open();
  const { page } = bench;
  await bench.watch(await bench.mint("root", "--claim", "scope=wsward:admin"));
  await bench.connectSecure(await bench.mint("eve"), "message");
  await bench.logged("Authenticated!");
  const session = page.getByRole("region", { name: "Sessions" }).getByRole("row", { name: "eve" });
  await session.getByRole("button", { name: "Revoke" }).click();
  await page.getByLabel("For").selectOption("1 day");
  await page.getByRole("button", { name: "Revoke the tokens", exact: true }).click();
  await bench.logged("Closed: 3000 Unauthorized");
  const revocation = page.getByRole("region", { name: "Revocations" }).getByRole("row", { name: "eve" });
  await revocation.getByText("all tokens of a user").waitFor();

  const events = page.getByRole("list", { name: "Recent events" });
  await events.getByText("revocation.added").waitFor();
  await page.getByLabel("Words in it").fill("REVOKED kind=user eve");
  await events.getByText("connection.opened").waitFor({ state: "detached" });
  await events.getByText("revocation.added").waitFor();
  await page.getByLabel("At least").selectOption("error");
  await page.getByText(/^None of the last \d+ events fits\.$/).waitFor();
  await page.getByLabel("Words in it").fill("");
  await page.getByLabel("At least").selectOption("debug");
  await events.getByText("connection.opened").first().waitFor();

  await revocation.getByRole("button", { name: "Take back" }).click();
  await page.getByRole("button", { name: "Take it back" }).click();
  await page.getByText("Nothing is revoked.").waitFor();
  bench.assertClean();
});

browserTest("the charts begin with what the server remembers", async () => {
  await using bench = await PageBench.open();
  const { page } = bench;
  const admin = await bench.mint("root", "--claim", "scope=wsward:admin");
  const points = async () => {
    const answer = await fetch(`${bench.url}history`, { headers: { "Authorization": `Bearer ${admin}` } });
    return (await answer.json()).points.length;
  };
  while (await points() < 3) await page.waitForTimeout(100);
  await bench.watch(admin);
  await page.getByText("Watching: all is well").waitFor();
  const line = await page.getByRole("img", { name: "Connections" }).locator("path").first().getAttribute("d");
  assert.ok(line!.match(/L/g)!.length >= 3, line!);
});

browserTest("the monitor says until when its token is good, and takes another one in time", async () => {
  await using bench = await PageBench.open();
  const { page } = bench;
  const scope = ["--claim", "scope=wsward:admin"];
  await bench.watch(await bench.mint("root", ...scope, "--expires-in", "4m"));
  await page.getByText(/^The token ends in 3 min: put in another one\.$/).waitFor();
  await page.getByLabel("Token of an administrator").fill(
    await bench.mint("root", ...scope, "--expires-in", "2h"),
  );
  await page.getByRole("button", { name: "Use this token" }).click();
  await page.getByText(/^The token is good until .*, 1 h 59 min more\.$/).waitFor();
  assert.equal(await page.getByLabel("Token of an administrator").isVisible(), false);
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByLabel("Token of an administrator").waitFor();
  bench.assertClean();
});

browserTest("the monitor says that a token is wrong, and that the server is gone", async () => {
  await using bench = await PageBench.open();
  const { page } = bench;
  await bench.watch(await bench.mint("ada"));
  await page.getByText("This token is refused: the token does not have the scope wsward:admin").waitFor();
  await bench.watch("nonsense");
  await page.getByText(/This token is refused: the token is not valid/).waitFor();
  await bench.watch(await bench.mint("root", "--claim", "scope=wsward:admin"));
  await page.getByText("Watching: all is well").waitFor();
  bench.program.signal("SIGKILL");
  await page.getByText("The server does not answer. Trying again every second.").waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("Not watching").waitFor();
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
