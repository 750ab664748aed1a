// What the tests of the page share: a real browser, and the program as a process.

import assert from "node:assert/strict";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { type Program, run, startServer } from "../support/process.ts";

/** Where the browser is. */
export const CHROMIUM = "/usr/bin/chromium";
/** Whether it is there. */
export const hasChromium = await Deno.stat(CHROMIUM).then(({ isFile }) => isFile, () => false);

/** How long the browser may take for anything, in milliseconds. */
const TIMEOUT_MS = 60_000;

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
export class PageBench implements AsyncDisposable {
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

/** A test that needs the browser. */
export function browserTest(name: string, body: () => Promise<void>): void {
  // Playwright keeps timers and pipes of its own for as long as the process lives.
  Deno.test({ name, ignore: !hasChromium, sanitizeOps: false, sanitizeResources: false, fn: body });
}
