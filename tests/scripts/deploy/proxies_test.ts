// Each proxy of scripts/deploy that is installed: the shipped file, with other ports, in front of the program.

import assert from "node:assert/strict";
import { parseDuration } from "../../../src/core/duration.ts";
import { SETTINGS } from "../../../src/core/settings/declarations.ts";
import { openFrom } from "../../support/bound_socket.ts";
import { findProgram, readShipped, replaceOnce } from "../../support/deploy.ts";
import { type Program, startServer } from "../../support/process.ts";
import { OPCODE, type RawClient, requestHead } from "../../support/raw_client.ts";

const FIXTURES = new URL("../../fixtures/tls/", import.meta.url).pathname;
const NAME = "ws.example.com";
const TLS = { name: NAME, ca: Deno.readTextFileSync(`${FIXTURES}proxy.pem`) };

/** How long a proxy may take to listen, in milliseconds. */
const TIMEOUT_MS = 20_000;

/** The ports that stand for those in a shipped file. */
interface Ports {
  readonly public: number;
  readonly echo: number;
  readonly secure: number;
}

/** How one proxy is run. */
interface Proxy {
  readonly program: string;
  readonly file: string;
  /** How long it lets a WebSocket be silent, as its file says; nothing where it has no such limit. */
  readonly silence?: RegExp;
  /** Flags of wsward, besides those for all. */
  readonly flags?: readonly string[];
  /** Writes the file, changed for a test and no more than that, into `folder`; returns the arguments to use it with. */
  prepare(
    shipped: string,
    folder: string,
    ports: Ports,
  ): { readonly check: string[]; readonly run: string[] };
}

const PROXIES: readonly Proxy[] = [
  {
    program: "nginx",
    file: "nginx.conf",
    silence: /proxy_read_timeout (\w+);/,
    prepare(shipped, folder, ports) {
      const changed = replaceOnce(shipped, {
        "listen 443 ssl;": `listen 127.0.0.1:${ports.public} ssl;`,
        // There are machines without it.
        "listen [::]:443 ssl;": "",
        "/etc/ssl/ws.example.com.pem": `${FIXTURES}proxy.pem`,
        "/etc/ssl/ws.example.com.key": `${FIXTURES}proxy.key.pem`,
        "127.0.0.1:8765": `127.0.0.1:${ports.echo}`,
        "127.0.0.1:8888": `127.0.0.1:${ports.secure}`,
      });
      Deno.writeTextFileSync(`${folder}/wsward.conf`, changed);
      const ownFolders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map((name) => `${name}_temp_path ${folder}/${name};`);
      const main = `daemon off; master_process off; pid ${folder}/pid; error_log stderr; events {}
        http { access_log off; ${ownFolders.join(" ")} include ${folder}/wsward.conf; }`;
      Deno.writeTextFileSync(`${folder}/nginx.conf`, main);
      const run = ["-e", "stderr", "-p", folder, "-c", `${folder}/nginx.conf`];
      return { check: ["-t", ...run], run };
    },
  },
  {
    program: "caddy",
    file: "Caddyfile",
    prepare(shipped, folder, ports) {
      const changed = replaceOnce(shipped, {
        "ws.example.com {":
          `https://${NAME}:${ports.public} {\nbind 127.0.0.1\ntls ${FIXTURES}proxy.pem ${FIXTURES}proxy.key.pem`,
        "127.0.0.1:8765": `127.0.0.1:${ports.echo}`,
        "127.0.0.1:8888": `127.0.0.1:${ports.secure}`,
      });
      const alone = `{\nadmin off\nauto_https off\nstorage file_system ${folder}\n}\n`;
      Deno.writeTextFileSync(`${folder}/Caddyfile`, alone + changed);
      const file = ["--config", `${folder}/Caddyfile`, "--adapter", "caddyfile"];
      return { check: ["validate", ...file], run: ["run", ...file] };
    },
  },
  {
    program: "haproxy",
    file: "haproxy.cfg",
    silence: /timeout tunnel (\w+)/,
    flags: ["--proxy-protocol", "--health-path", "/healthz"],
    prepare(shipped, folder, ports) {
      const pair = ["proxy.pem", "proxy.key.pem"].map((name) => Deno.readTextFileSync(FIXTURES + name));
      Deno.writeTextFileSync(`${folder}/pair.pem`, pair.join(""));
      const changed = replaceOnce(shipped, {
        "bind :443": `bind 127.0.0.1:${ports.public}`,
        "/etc/haproxy/ws.example.com.pem": `${folder}/pair.pem`,
        "127.0.0.1:8765": `127.0.0.1:${ports.echo}`,
        "127.0.0.1:8888": `127.0.0.1:${ports.secure}`,
      });
      Deno.writeTextFileSync(`${folder}/haproxy.cfg`, changed);
      return { check: ["-c", "-f", `${folder}/haproxy.cfg`], run: ["-db", "-f", `${folder}/haproxy.cfg`] };
    },
  },
];

/** The program, and a proxy in front of it; clients come from addresses of their own. */
class Bench implements AsyncDisposable {
  readonly program: Program;
  readonly #port = freePort();
  readonly #folder = Deno.makeTempDirSync();
  #proxy: Deno.ChildProcess | undefined;
  /** What the proxy has written on stderr, once it has ended. */
  #words: Promise<string> | undefined;
  #lastCode = 4000;

  private constructor(program: Program) {
    this.program = program;
  }

  static async start(proxy: Proxy): Promise<Bench> {
    const flags = ["--trust-proxy", "127.0.0.1", "--allow-host", NAME, ...proxy.flags ?? []];
    const bench = new Bench(startServer(flags));
    try {
      await bench.#start(proxy);
      return bench;
    } catch (error) {
      await bench[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What a browser sends as Host, and after `https://` as the origin of the site's own pages. */
  get host(): string {
    return `${NAME}:${this.#port}`;
  }

  /** Connects from an address of 127.0.0.0/8 and makes a handshake at `target`. */
  async connect(from: string, target: string, headers: Record<string, string> = {}): Promise<RawClient> {
    const client = await openFrom(from, this.#port, TLS);
    const head = requestHead({ target, headers }).replace("Host: localhost", `Host: ${this.host}`);
    await client.handshake({ head });
    return client;
  }

  /** Has one message echoed, and returns the client's address as the program logs it. */
  async loggedPeer(from: string, headers?: Record<string, string>): Promise<string> {
    using client = await this.connect(from, "/echo", headers);
    await client.sendText("hello");
    assert.equal(await client.nextText(), "Server received: hello");
    const code = ++this.#lastCode;
    await client.sendClose(code);
    assert.equal((await client.nextClose()).code, code);
    const record = await this.program.logged(new RegExp(`connection\\.closed.* code=${code} `));
    return / peer=(\S+)/.exec(record)![1]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#proxy?.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await Promise.all([this.#proxy?.status, this.#words]);
    await this.program[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #start(proxy: Proxy): Promise<void> {
    const [echo, secure] = [await this.program.port("echo"), await this.program.port("secure")];
    const ports = { public: this.#port, echo, secure };
    const { check, run } = proxy.prepare(readShipped(proxy.file), this.#folder, ports);
    const command = (args: string[]) =>
      new Deno.Command(findProgram(proxy.program)!, {
        args,
        env: { HOME: this.#folder },
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      });
    const { success, stderr } = await command(check).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    this.#proxy = command(run).spawn();
    this.#words = new Response(this.#proxy.stderr).text();
    const isListening = await Promise.race([this.#listening(), this.#proxy.status.then(() => false)]);
    if (!isListening) throw new Error(`${proxy.program} has ended: ${await this.#words}`);
  }

  // Not all of them say when they listen.
  async #listening(): Promise<boolean> {
    const deadlineMs = performance.now() + TIMEOUT_MS;
    for (;;) {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port: this.#port })).close();
        return true;
      } catch {
        if (performance.now() > deadlineMs) return false;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

for (const proxy of PROXIES) {
  const isMissing = findProgram(proxy.program) === undefined;
  const where = isMissing ? ` (skipped: ${proxy.program} is not installed)` : "";

  Deno.test({
    name: `${proxy.program} passes on who the client is, and nobody can forge it${where}`,
    ignore: isMissing,
    fn: async () => {
      await using bench = await Bench.start(proxy);
      assert.equal(await bench.loggedPeer("127.0.0.2"), "127.0.0.2");
      assert.equal(await bench.loggedPeer("127.0.0.3"), "127.0.0.3");
      for (const forged of ["203.0.113.9", "203.0.113.9, 127.0.0.1", "127.0.0.1", "x,,", "[::1]:80"]) {
        const headers = { "X-Forwarded-For": forged, "X-Real-IP": forged, "Forwarded": `for=${forged}` };
        assert.equal(await bench.loggedPeer("127.0.0.4", headers), "127.0.0.4");
      }
      assert.doesNotMatch(bench.program.stderr.text, /203\.0\.113/);
    },
  });

  Deno.test({
    name:
      `${proxy.program} passes on messages of any size, Close codes, refusals and the end of the server${where}`,
    ignore: isMissing,
    fn: async () => {
      await using bench = await Bench.start(proxy);
      using open = await bench.connect("127.0.0.2", "/echo");
      const large = "x".repeat(1024 * 1024);
      await Promise.all([
        open.sendText(large),
        open.nextText().then((text) => assert.ok(text === `Server received: ${large}`)),
      ]);

      for (
        const [target, opcode, code, reason] of [
          ["/echo", 3, 1002, /opcode/],
          ["/secure", OPCODE.text, 3000, /invalid token/],
        ] as const
      ) {
        using client = await bench.connect("127.0.0.2", target);
        await client.sendFrame({ opcode, payload: "not a token" });
        let frame = await client.nextFrame();
        while (frame.opcode !== OPCODE.close) frame = await client.nextFrame();
        assert.equal(frame.closeCode, code);
        assert.match(frame.closeReason!, reason);
        await client.sendClose(code);
        await client.eof();
      }

      for (
        const [target, headers, status] of [
          ["/echo", { Origin: `https://${bench.host}` }, 101],
          ["/echo", { Origin: "https://evil.example" }, 403],
          ["/secure", { Authorization: "Bearer x.y.z" }, 401],
          ["/elsewhere", {}, 404],
        ] as const
      ) {
        using client = await bench.connect("127.0.0.2", target, headers);
        assert.equal(client.response?.status, status, JSON.stringify([target, headers]));
      }

      bench.program.signal("SIGTERM");
      assert.equal((await open.nextClose()).code, 1001);
      await open.sendClose(1001);
      assert.equal((await bench.program.result()).code, 0);
    },
  });

  Deno.test(`${proxy.file} lets a WebSocket be silent for longer than wsward does`, () => {
    const text = readShipped(proxy.file);
    if (proxy.silence === undefined) return assert.doesNotMatch(text, /^[^#]*timeout/m);
    const limitMs = parseDuration(proxy.silence.exec(text)?.[1] ?? "") ?? 0;
    assert.ok(limitMs > SETTINGS.pingInterval.default + SETTINGS.pingTimeout.default);
  });
}
