// The rows for settings of an upstream server, each in front of npm `ws`.

import assert from "node:assert/strict";
import type { IncomingHttpHeaders } from "node:http";
import type { ServerOptions } from "node:https";
import type { TLSSocket } from "node:tls";
import type { SettingName } from "../../src/core/settings/declarations.ts";
import type { Row, World } from "../support/settings_world.ts";

const FIXTURES = new URL("../fixtures/tls/", import.meta.url).pathname;
const BEHIND = ["--upstream", "UPSTREAM"];
const TLS = ["--upstream-cert", "client.crt", "--upstream-key", "client.key", "--upstream-ca", "server.crt"];

function fixture(name: string): string {
  return Deno.readTextFileSync(FIXTURES + name);
}

const TLS_SERVER: ServerOptions = { cert: fixture("server.pem"), key: fixture("server.key.pem") };

function writeTls(folder: string): void {
  Deno.writeTextFileSync(`${folder}/server.crt`, fixture("server.pem"));
  Deno.writeTextFileSync(`${folder}/client.crt`, fixture("client.pem"));
  Deno.writeTextFileSync(`${folder}/client.key`, fixture("client.key.pem"));
}

/** What the server is sent for a client with this token. */
async function headersFor(world: World, token = world.token()): Promise<IncomingHttpHeaders> {
  using client = await world.cross({}, token);
  client.close();
  return world.foreign.requests.at(-1)!.headers;
}

/** The certificate is shown to a server that wants one, and opens nothing elsewhere. */
const CERTIFICATE: Omit<Row, "value"> = {
  foreign: {
    tls: { ...TLS_SERVER, ca: fixture("client_ca.pem"), requestCert: true, rejectUnauthorized: true },
  },
  base: BEHIND,
  prepare: writeTls,
  async check(world) {
    using client = await world.cross();
    assert.ok((world.foreign.requests[0]!.socket as TLSSocket).authorized);
    client.close();
  },
};

/** Rows by setting. */
export const UPSTREAM_ROWS: Partial<Record<SettingName, Row>> = {
  upstream: {
    value: "UPSTREAM",
    foreign: {},
    base: [],
    async check(world) {
      using client = await world.cross();
      client.close();
    },
  },
  upstreamAuth: {
    value: "none",
    foreign: {},
    base: BEHIND,
    check: async (world) => assert.equal(await world.crossingStatus({}, ""), 101),
  },
  upstreamPath: {
    value: "/chat/*",
    foreign: {},
    base: BEHIND,
    async check(world) {
      assert.equal(await world.crossingStatus({ target: "/chat/room" }), 101);
      assert.equal(await world.crossingStatus({ target: "/chat" }), 404);
    },
  },
  upstreamTimeout: {
    value: "300ms",
    foreign: { options: { verifyClient: (_asked: unknown, _decide: unknown) => {} } },
    base: BEHIND,
    async check(world) {
      const startedMs = performance.now();
      assert.equal(await world.crossingStatus(), 504);
      // It is 5 s otherwise.
      assert.ok(performance.now() - startedMs < 4000);
    },
  },
  upstreamMaxConnections: {
    value: "1",
    foreign: {},
    base: BEHIND,
    async check(world) {
      using client = await world.cross();
      assert.equal(await world.crossingStatus(), 503);
      client.close();
    },
  },
  upstreamMaxMessageSize: {
    value: "1KiB",
    foreign: {},
    base: BEHIND,
    async check(world) {
      using client = await world.cross();
      await client.sendText("a".repeat(1024));
      assert.equal((await client.nextText()).length, 1024);
      await client.sendText("a".repeat(1025));
      assert.equal((await client.nextFrame("the end")).closeCode, 1011);
      client.close();
    },
  },
  upstreamHost: {
    value: "ws.example.com:8080",
    foreign: {},
    base: BEHIND,
    async check(world) {
      const { host, "x-forwarded-host": forwarded } = await headersFor(world);
      assert.deepEqual([host, forwarded], ["ws.example.com:8080", "localhost"]);
    },
  },
  upstreamClaim: {
    value: "role=X-Role",
    more: ["--upstream-claim", "n=X-N"],
    foreign: {},
    base: BEHIND,
    async check(world) {
      const headers = await headersFor(world, world.token({ role: "a b", n: 7 }));
      assert.deepEqual([headers["x-role"], headers["x-n"]], ["a%20b", "7"]);
      assert.equal((await headersFor(world))["x-role"], undefined);
    },
  },
  upstreamClaimsHeader: {
    value: "X-Claims",
    foreign: {},
    base: BEHIND,
    async check(world) {
      const text = (await headersFor(world, world.token({ role: "admin" })))["x-claims"] as string;
      const claims = JSON.parse(
        new TextDecoder().decode(Uint8Array.fromBase64(text, { alphabet: "base64url" })),
      );
      assert.deepEqual([claims.user_id, claims.role], ["alice", "admin"]);
    },
  },
  upstreamForwardToken: {
    foreign: {},
    base: BEHIND,
    async check(world) {
      const token = world.token();
      assert.equal((await headersFor(world, token)).authorization, `Bearer ${token}`);
    },
  },
  upstreamCa: {
    value: "server.crt",
    foreign: { tls: TLS_SERVER },
    base: BEHIND,
    prepare: writeTls,
    async check(world) {
      // Without it nobody vouches for that server.
      assert.equal((await headersFor(world)).host, world.foreign.url.slice("wss://".length));
    },
  },
  upstreamServerName: {
    value: "other.example",
    more: ["--upstream-ca", "server.crt"],
    foreign: { tls: TLS_SERVER },
    base: BEHIND,
    prepare: writeTls,
    check: async (world) => assert.equal(await world.crossingStatus(), 502),
  },
  upstreamCert: { ...CERTIFICATE, value: "client.crt", more: TLS.slice(2) },
  upstreamKey: { ...CERTIFICATE, value: "client.key", more: [...TLS.slice(0, 2), ...TLS.slice(4)] },
  tokenCookie: {
    value: "jwt",
    foreign: {},
    base: BEHIND,
    async check(world) {
      const headers = {
        Cookie: `a=1; jwt=${world.token()}`,
        Origin: `http://127.0.0.1:${await world.program.port("upstream")}`,
      };
      assert.equal(await world.crossingStatus({ headers }, ""), 101);
      assert.equal(world.foreign.requests[0]!.headers.cookie, "a=1");
    },
  },
};
