// The rows for settings of connections: addresses, limits, who may connect, and TLS.

import assert from "node:assert/strict";
import type { SettingName } from "../../src/core/settings/declarations.ts";
import { concat, frame, OPCODE, RawClient } from "../support/raw_client.ts";
import type { Row, World } from "../support/settings_world.ts";

const FIXTURES = new URL("../fixtures/tls/", import.meta.url).pathname;
export const ECHO = ["--no-secure"];
const TLS = ["--tls-cert", "tls.crt", "--tls-key", "tls.key"];
export const VIOLATION = frame({ opcode: 3 });

function fixture(name: string): string {
  return Deno.readTextFileSync(FIXTURES + name);
}

function writeTls(folder: string): void {
  Deno.writeTextFileSync(`${folder}/tls.crt`, fixture("server.pem"));
  Deno.writeTextFileSync(`${folder}/tls.key`, fixture("server.key.pem"));
  Deno.writeTextFileSync(`${folder}/ca.crt`, fixture("client_ca.pem"));
}

/** The status of a handshake over TLS, with the fixture's certificate trusted. */
async function tlsStatus(world: World, client: { cert: string; key: string } | object = {}): Promise<number> {
  const conn = await Deno.connectTls({
    hostname: "localhost",
    port: await world.program.port("echo"),
    caCerts: [fixture("server.pem")],
    ...client,
  });
  using raw = new RawClient(conn);
  return (await raw.handshake()).status;
}

/** Sends bytes to echo and wants the Close that follows, after whatever comes before it. */
export async function assertCloses(
  world: World,
  bytes: Uint8Array,
  code: number,
  reason?: RegExp,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  using client = await world.echo({ headers });
  await client.send(bytes);
  let next = await client.nextFrame("a Close");
  while (next.opcode !== OPCODE.close) next = await client.nextFrame("a Close");
  assert.equal(next.closeCode, code);
  if (reason !== undefined) assert.match(next.closeReason!, reason);
  client.close();
}

/** Breaks a rule, `count` times, each in a connection of its own. */
export async function violate(world: World, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await assertCloses(world, VIOLATION, 1002);
}

/** A port that was free a moment ago. */
function freePort(): string {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return String(port);
}

const echoPort = freePort();
const securePort = freePort();

async function isRefused(port: number, hostname: string): Promise<boolean> {
  try {
    (await Deno.connect({ port, hostname })).close();
    return false;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return true;
    throw error;
  }
}

/** A connection that the server has been told to close by a lifetime, and that never answers. */
async function assertCutSoon(world: World): Promise<void> {
  using client = await world.echo();
  assert.equal((await client.nextClose()).code, 3008);
  await client.eof();
  client.close();
}

/** The row of a rule at the first connection: its status, and that of none. */
function refusing(row: Omit<Row, "check" | "base">, status: number): Row {
  return {
    ...row,
    base: ECHO,
    check: async (world) => assert.equal(await world.echoStatus(), status),
  };
}

/** Rows by setting. */
export const CONNECTION_ROWS: Partial<Record<SettingName, Row>> = {
  host: {
    value: "::1",
    base: ECHO,
    async check({ program }) {
      const port = await program.port("echo");
      using client = await RawClient.connect({ port, hostname: "::1" });
      client.close();
      assert.ok(await isRefused(port, "127.0.0.1"));
    },
  },
  echoPort: {
    value: echoPort,
    base: ECHO,
    check: async ({ program }) => assert.equal(await program.port("echo"), Number(echoPort)),
  },
  securePort: {
    value: securePort,
    check: async ({ program }) => assert.equal(await program.port("secure"), Number(securePort)),
  },
  echo: {
    base: [],
    async check({ program }) {
      await program.port("secure");
      assert.doesNotMatch(program.stdout.text, /echo/);
    },
  },
  secure: {
    base: [],
    async check({ program }) {
      await program.port("echo");
      assert.doesNotMatch(program.stdout.text, /secure/);
    },
  },
  echoPrefix: {
    value: "> ",
    base: ECHO,
    async check(world) {
      using client = await world.echo();
      await client.sendText("hello");
      assert.equal(await client.nextText(), "> hello");
      client.close();
    },
  },
  maxRpcMessageSize: {
    value: "16KiB",
    async check(world) {
      const headers = { "Sec-WebSocket-Protocol": "wsward.v1" };
      using client = await world.open({ headers });
      await client.sendText(world.token());
      assert.equal(await client.nextText(), "Authenticated!");
      const request = (size: number) => {
        const [start, end] = ['{"jsonrpc":"2.0","id":1,"method":"echo","params":{"message":"', '"}}'];
        return `${start}${"a".repeat(size - start.length - end.length)}${end}`;
      };
      await client.sendText(request(16_384));
      assert.match(await client.nextText(), /"result"/);
      await client.sendText(request(16_385));
      assert.match(await client.nextText(), /"error"/);
    },
  },
  maxMessageSize: {
    value: "10B",
    base: ECHO,
    async check(world) {
      using client = await world.echo();
      await client.sendBinary(new Uint8Array(10));
      assert.equal((await client.nextBinary()).length, 10);
      client.close();
      await assertCloses(world, frame({ opcode: OPCODE.binary, payload: new Uint8Array(11) }), 1009);
    },
  },
  maxFragments: {
    value: "2",
    base: ECHO,
    async check(world) {
      const [first, middle, last] = [
        frame({ opcode: OPCODE.binary, fin: false }),
        frame({ opcode: OPCODE.continuation, fin: false }),
        frame({ opcode: OPCODE.continuation }),
      ];
      using client = await world.echo();
      await client.send(concat(first, last));
      assert.equal((await client.nextBinary()).length, 0);
      client.close();
      await assertCloses(world, concat(first, middle, last), 1009, /fragments/);
    },
  },
  maxConnections: {
    value: "1",
    base: ECHO,
    async check(world) {
      using first = await world.echo();
      assert.equal(await world.echoStatus(), 503);
      first.close();
    },
  },
  maxConnectionsPerIp: {
    value: "1",
    base: ECHO,
    async check(world) {
      using first = await world.echo();
      assert.equal(await world.echoStatus(), 429);
      first.close();
    },
  },
  handshakeRate: {
    value: "1/s",
    base: ECHO,
    async check(world) {
      // A slow machine may have one more each second.
      while (await world.echoStatus() === 101);
      assert.equal(await world.echoStatus(), 429);
    },
  },
  messageRate: {
    value: "1/s",
    more: ["--on-rate-limit", "close"],
    base: ECHO,
    check: (world) =>
      assertCloses(
        world,
        concat(...Array.from({ length: 30 }, () => frame({ opcode: OPCODE.ping }))),
        1008,
        /more than 1 a second/,
      ),
  },
  byteRate: {
    value: "1KiB/s",
    more: ["--on-rate-limit", "close"],
    base: ECHO,
    check: (world) =>
      assertCloses(
        world,
        frame({ opcode: OPCODE.binary, payload: new Uint8Array(50_000) }),
        1008,
        /more than 1024 a second/,
      ),
  },
  onRateLimit: {
    value: "close",
    more: ["--message-rate", "1/s"],
    base: ECHO,
    check: (world) =>
      assertCloses(world, concat(...Array.from({ length: 30 }, () => frame({ opcode: OPCODE.ping }))), 1008),
  },
  maxBufferedMemory: {
    value: "1MiB",
    more: ["--max-message-size", "8MiB"],
    base: ECHO,
    check: (world) =>
      assertCloses(
        world,
        frame({ opcode: OPCODE.binary, claimedLength: 2 ** 22, payload: new Uint8Array(1_100_000) }),
        1013,
      ),
  },
  handshakeTimeout: {
    value: "100ms",
    base: ECHO,
    async check({ program }) {
      using client = await RawClient.open({ port: await program.port("echo") });
      assert.equal((await client.readHead()).status, 408);
      client.close();
    },
  },
  closeTimeout: {
    value: "100ms",
    more: ["--max-lifetime", "100ms", "--log-format", "json"],
    base: ECHO,
    async check(world) {
      await assertCutSoon(world);
      const line = await world.program.logged(/.*"connection\.closed".*/);
      assert.ok(JSON.parse(line).duration < 4, line);
    },
  },
  idleTimeout: {
    value: "100ms",
    base: ECHO,
    check: (world) => assertCloses(world, new Uint8Array(0), 3008, /no message/),
  },
  pingInterval: {
    value: "100ms",
    base: ECHO,
    async check(world) {
      using client = await world.echo();
      assert.equal((await client.nextFrame("a Ping")).opcode, OPCODE.ping);
      client.close();
    },
  },
  pingTimeout: {
    value: "100ms",
    more: ["--ping-interval", "100ms"],
    base: ECHO,
    check: (world) => assertCloses(world, new Uint8Array(0), 3008, /no answer to a Ping/),
  },
  sendTimeout: {
    value: "100ms",
    base: ECHO,
    async check(world) {
      using client = await world.echo();
      // Written until nothing is taken any more; the write fails when the server cuts.
      const flood = (async () => {
        for (;;) await client.sendBinary(new Uint8Array(100_000));
      })().catch(() => {});
      await world.program.logged(/send_timeout/);
      await flood;
      client.close();
    },
  },
  maxLifetime: {
    value: "100ms",
    base: ECHO,
    check: (world) => assertCloses(world, new Uint8Array(0), 3008, /longest lifetime/),
  },
  drainTimeout: {
    value: "100ms",
    more: ["--close-timeout", "1m"],
    base: ECHO,
    ends: true,
    async check(world) {
      using client = await world.echo();
      world.program.signal("SIGTERM");
      assert.equal((await client.nextClose()).code, 1001);
      // Long before the ten seconds of the default.
      await client.eof();
      client.close();
    },
  },
  insecureAllowNullOrigin: {
    base: ECHO,
    async check(world) {
      assert.equal(await world.echoStatus({ Origin: "null" }), 101);
      assert.equal(await world.echoStatus({ Origin: "https://evil.example" }), 403);
    },
  },
  allowOrigin: {
    value: "https://a.example",
    base: ECHO,
    async check(world) {
      assert.equal(await world.echoStatus({ Origin: "https://a.example" }), 101);
      assert.equal(await world.echoStatus({ Origin: "https://b.example" }), 403);
    },
  },
  insecureAllowAnyOrigin: {
    base: ECHO,
    check: async (world) => assert.equal(await world.echoStatus({ Origin: "https://b.example" }), 101),
  },
  allowHost: {
    value: "a.example",
    base: ECHO,
    async check(world) {
      assert.equal(await world.echoStatus({ Host: "a.example" }), 101);
      assert.equal(await world.echoStatus({ Host: "b.example" }), 421);
    },
  },
  allowIp: refusing({ value: "192.0.2.0/24" }, 403),
  denyIp: refusing({ value: "127.0.0.1" }, 403),
  rulesFile: refusing({
    value: "rules",
    prepare: (folder) => Deno.writeTextFileSync(`${folder}/rules`, "deny 127.0.0.0/8\n"),
  }, 403),
  banWindow: {
    value: "1s",
    more: ["--ban-after", "2", "--ban-loopback"],
    base: ECHO,
    async check(world) {
      await violate(world, 1);
      // The one thing here that nothing but time does.
      await new Promise((resolve) => setTimeout(resolve, 1100));
      await violate(world, 1);
      assert.equal(await world.echoStatus(), 101);
    },
  },
  banTime: {
    value: "1s",
    more: ["--ban-after", "1", "--ban-loopback", "--handshake-rate", "unlimited"],
    base: ECHO,
    async check(world) {
      using client = await world.echo();
      await client.send(VIOLATION);
      await world.program.logged(/client\.banned/);
      client.close();
      const deadlineMs = performance.now() + 10_000;
      while (await world.echoStatus() !== 101) {
        assert.ok(performance.now() < deadlineMs, "banned too long");
        // Of more than a thousand refusals a second, some are not explained.
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
  },
  banLoopback: {
    more: ["--ban-after", "1"],
    base: ECHO,
    async check(world) {
      using client = await world.echo();
      await client.send(VIOLATION);
      await world.program.logged(/client\.banned/);
      client.close();
      assert.equal(await world.echoStatus(), 403);
    },
  },
  trustProxy: {
    value: "127.0.0.1",
    more: ["--deny-ip", "192.0.2.7"],
    base: ECHO,
    async check(world) {
      assert.equal(await world.echoStatus({ "X-Forwarded-For": "192.0.2.7" }), 403);
      assert.equal(await world.echoStatus({ "X-Forwarded-For": "192.0.2.8" }), 101);
    },
  },
  proxyProtocol: {
    more: ["--trust-proxy", "127.0.0.1", "--deny-ip", "192.0.2.7"],
    base: ECHO,
    async check(world) {
      assert.equal(await world.echoStatus({}, "PROXY TCP4 192.0.2.8 127.0.0.1 1 2\r\n"), 101);
      assert.equal(await world.echoStatus({}, "PROXY TCP4 192.0.2.7 127.0.0.1 1 2\r\n"), 403);
      assert.equal(await world.echoStatus(), 400);
    },
  },
  firewallDryRun: {
    more: ["--deny-ip", "127.0.0.1"],
    base: ECHO,
    check: async (world) => assert.equal(await world.echoStatus(), 101),
  },
  tlsCert: {
    value: "tls.crt",
    more: ["--tls-key", "tls.key"],
    prepare: writeTls,
    base: ECHO,
    check: async (world) => assert.equal(await tlsStatus(world), 101),
  },
  tlsKey: {
    value: "tls.key",
    more: ["--tls-cert", "tls.crt"],
    prepare: writeTls,
    base: ECHO,
    check: async (world) => assert.equal(await tlsStatus(world), 101),
  },
  tlsClientCa: {
    value: "ca.crt",
    more: TLS,
    prepare: writeTls,
    base: ECHO,
    async check(world) {
      const client = { cert: fixture("client.pem"), key: fixture("client.key.pem") };
      assert.equal(await tlsStatus(world, client), 101);
      await assert.rejects(tlsStatus(world));
    },
  },
};
