// The cases of the self-test: each fails against a server that breaks its rule.

import assert from "node:assert/strict";
import type { Case } from "../../src/tools/selftest/case.ts";
import { CASES } from "../../src/tools/selftest/cases.ts";
import type { Forge } from "../../src/tools/selftest/options.ts";
import type { Verdict } from "../../src/tools/selftest/verdict.ts";
import { BAD_KINDS, type BadKind, misbehave, startBad } from "../support/bad_servers.ts";
import { makeForge, optionsFor, runCase } from "../support/selftest_case.ts";
import { TcpServer } from "../support/tool_process.ts";

const FIXTURES = new URL("../fixtures/tls/", import.meta.url).pathname;

/** How long a case waits for an answer, and how long if that was too short on a busy machine. */
const TIMEOUTS_MS = [150, 5000];

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
