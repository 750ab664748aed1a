// The cases of the self-test: each fails against a server that breaks its rule, and each ends in time.

import assert from "node:assert/strict";
import { CASES } from "../../src/tools/selftest/cases.ts";
import type { Case } from "../../src/tools/selftest/case.ts";
import { openForge } from "../../src/tools/selftest/forge.ts";
import type { Forge, SelftestOptions } from "../../src/tools/selftest/options.ts";
import { Budget, Probe } from "../../src/tools/selftest/probe.ts";
import { Unperformable, type Verdict } from "../../src/tools/selftest/verdict.ts";
import { parseTarget } from "../../src/tools/target.ts";
import { BAD_KINDS, type BadKind, misbehave, startBad } from "../support/bad_servers.ts";
import { TcpServer } from "../support/tool_process.ts";

const FIXTURES = new URL("../fixtures/tls/", import.meta.url).pathname;
const CASE_DEADLINE_MS = 20_000;

/** How long a case waits for an answer, and how long if that was too short on a busy machine. */
const TIMEOUTS_MS = [150, 5000];

function optionsFor(url: string, more: Partial<SelftestOptions> = {}): SelftestOptions {
  return {
    target: parseTarget(url)!,
    address: "127.0.0.1",
    tls: {},
    classes: new Set(["harmless", "limit", "exhaustion"]),
    only: [],
    skip: [],
    strict: false,
    timeoutMs: 150,
    caseTimeoutMs: 60_000,
    maxTimeMs: 600_000,
    maxBytes: 2 ** 40,
    connectionRate: 1000,
    thresholds: {
      frame: 256 * 1024,
      message: 2 * 1024 * 1024,
      fragments: 2000,
      messages: 1000,
      connections: 5,
      silenceMs: 300,
      hangUpMs: 300,
    },
    send: "wsward selftest",
    expect: undefined,
    token: undefined,
    present: "first",
    forge: undefined,
    pid: undefined,
    ...more,
  };
}

async function runCase(one: Case, options: SelftestOptions): Promise<Verdict> {
  using probe = new Probe(options, new Budget(options), { kind: "echo", prefix: "", answer: options.send });
  try {
    return await one.run(probe);
  } catch (error) {
    if (error instanceof Unperformable) return { result: error.result, observed: error.message };
    throw error;
  }
}

async function makeForge(alg: string): Promise<Forge> {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/key`;
  if (alg === "HS256") {
    await Deno.writeTextFile(
      file,
      crypto.getRandomValues(new Uint8Array(32)).toBase64({ alphabet: "base64url", omitPadding: true }),
    );
  } else {
    const { privateKey } = await crypto.subtle.generateKey("Ed25519", true, [
      "sign",
      "verify",
    ]) as CryptoKeyPair;
    const { kty, crv, x, d } = await crypto.subtle.exportKey("jwk", privateKey);
    await Deno.writeTextFile(file, JSON.stringify({ kty, crv, x, d, alg: "EdDSA" }));
  }
  await Deno.chmod(file, 0o600);
  const forge = await openForge({ keyFile: file, issuer: undefined, audience: [], tokenType: undefined });
  await Deno.remove(folder, { recursive: true });
  return forge;
}

/** What only tells something, and can't be wrong. */
const ONLY_INFO = ["utf8-fail-fast"];
const SEEN = new Set(["warn", "fail"]);

async function seesFailure(one: Case, kind: BadKind, forge: Forge, timeoutMs: number): Promise<boolean> {
  await using server = startBad(kind);
  const token = one.group === "token" ? await forge.valid(300_000) : undefined;
  // The server is in this process.
  const options = optionsFor(`ws://127.0.0.1:${server.port}/`, { forge, token, timeoutMs, pid: Deno.pid });
  const { result } = await runCase(one, options);
  return SEEN.has(result) || (ONLY_INFO.includes(one.id) && result === "info");
}

const plainCases = CASES.filter(({ group }) => group !== "tls");

Deno.test("has a hundred and more cases, no two of one name", () => {
  assert.ok(CASES.length > 100);
  assert.equal(new Set(CASES.map(({ id }) => id)).size, CASES.length);
  for (const { id, section, sends, right } of CASES) {
    assert.match(id, /^[a-z0-9]+(-[a-z0-9]+)*$/);
    assert.match(section, /^RFC \d{4}/);
    assert.ok(sends !== "" && right !== "", id);
  }
});

for (const [group, cases] of Map.groupBy(plainCases, (one) => one.group)) {
  Deno.test({
    name: `each case is seen to fail against a server that breaks its rule: ${group}`,
    // The servers hold connections that nobody ends, as bad servers do.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const forge = await makeForge("EdDSA");
      for (const one of cases) {
        let isSeen = false;
        for (const timeoutMs of TIMEOUTS_MS) {
          for (const kind of BAD_KINDS) isSeen ||= await seesFailure(one, kind, forge, timeoutMs);
        }
        assert.ok(isSeen, `${one.id} was not seen to fail`);
      }
    },
  });
}

/** A TLS server of which each connection is treated as a plain one would be. */
function startBadTls(kind: BadKind): { port: number; [Symbol.dispose](): void } {
  const listener = Deno.listenTls({
    hostname: "127.0.0.1",
    port: 0,
    cert: Deno.readTextFileSync(`${FIXTURES}server.pem`),
    key: Deno.readTextFileSync(`${FIXTURES}server.key.pem`),
  });
  void (async () => {
    for await (const conn of listener) {
      void misbehave(conn, kind).catch(() => {});
    }
  })().catch(() => {});
  return { port: (listener.addr as Deno.NetAddr).port, [Symbol.dispose]: () => listener.close() };
}

/** Answers a hello of any version with the beginning of a ServerHello of TLS 1.0. */
function startOldTls(): TcpServer {
  return new TcpServer(async (conn) => {
    await conn.read(new Uint8Array(1024));
    await conn.write(Uint8Array.of(22, 3, 1, 0, 4, 2, 0, 0, 0));
  });
}

Deno.test({
  name: "each case is seen to fail against a server that breaks its rule: tls",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const silent = () => new TcpServer(async () => await new Promise(() => {}), { isAbandoned: true });
    const ca = await Deno.readTextFile(`${FIXTURES}server.pem`);
    const breakers: Readonly<Record<string, () => { readonly port: number }>> = {
      "tls-old-versions": startOldTls,
      "tls-certificate": () => startBadTls("lenient"),
      "tls-plain": () => startBad("lenient"),
      "tls-unknown-sni": silent,
      "tls-h2-only": silent,
      "tls-split-records": () => startBadTls("error"),
      "tls-truncation": () => startBadTls("deaf"),
      "tls-silent": silent,
    };
    for (const one of CASES.filter(({ group }) => group === "tls")) {
      const server = breakers[one.id]!();
      const tls = one.id === "tls-certificate" ? {} : { ca };
      let verdict: Verdict | undefined;
      for (const timeoutMs of TIMEOUTS_MS) {
        verdict = await runCase(one, optionsFor(`wss://localhost:${server.port}/`, { tls, timeoutMs }));
        if (SEEN.has(verdict.result)) break;
      }
      assert.ok(SEEN.has(verdict!.result), `${one.id}: ${JSON.stringify(verdict)}`);
    }
  },
});

const OBSTACLES: Readonly<Record<string, () => Promise<{ readonly port: number }>>> = {
  "stalls": () =>
    Promise.resolve(new TcpServer(async () => await new Promise(() => {}), { isAbandoned: true })),
  "closes": () => Promise.resolve(new TcpServer(() => Promise.resolve())),
  "closes after a request": () =>
    Promise.resolve(
      new TcpServer(async (conn) => {
        await conn.read(new Uint8Array(100_000));
      }),
    ),
  "floods": () =>
    Promise.resolve(
      new TcpServer(async (conn) => {
        const many = new Uint8Array(64 * 1024).fill(0x81);
        await conn.write(new TextEncoder().encode("HTTP/1.1 101 x\r\n"));
        for (;;) await conn.write(many);
      }),
    ),
  "refuses": () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    listener.close();
    return Promise.resolve({ port });
  },
};

for (const [name, start] of Object.entries(OBSTACLES)) {
  Deno.test({
    name: `each case ends in time against a server that ${name}`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const server = await start();
      const forge = await makeForge("HS256");
      const token = await forge.valid(300_000);
      const late: string[] = [];
      for (const scheme of ["ws", "wss"]) {
        const cases = CASES.filter(({ group }) => (group === "tls") === (scheme === "wss"));
        const options = optionsFor(`${scheme}://127.0.0.1:${server.port}/`, { forge, timeoutMs: 50 });
        await Promise.all(cases.map(async (one) => {
          let timer: ReturnType<typeof setTimeout> | undefined;
          const deadline = new Promise<"late">((resolve) =>
            timer = setTimeout(() => resolve("late"), CASE_DEADLINE_MS)
          );
          const run = runCase(one, one.group === "token" ? { ...options, token } : options);
          if (await Promise.race([run, deadline]) === "late") late.push(one.id);
          clearTimeout(timer);
        }));
      }
      assert.deepEqual(late, []);
    },
  });
}
