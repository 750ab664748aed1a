// One case of the self-test, run by itself against a server of the tests.

import type { Case } from "../../src/tools/selftest/case.ts";
import { openForge } from "../../src/tools/selftest/forge.ts";
import type { Forge, SelftestOptions } from "../../src/tools/selftest/options.ts";
import { Budget, Probe } from "../../src/tools/selftest/probe.ts";
import { Unperformable, type Verdict } from "../../src/tools/selftest/verdict.ts";
import { parseTarget } from "../../src/tools/target.ts";

/** Options that wait for 150 ms and take a small server's limits for enough. */
export function optionsFor(url: string, more: Partial<SelftestOptions> = {}): SelftestOptions {
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

/** What a case says of a server. */
export async function runCase(one: Case, options: SelftestOptions): Promise<Verdict> {
  using probe = new Probe(options, new Budget(options), { kind: "echo", prefix: "", answer: options.send });
  try {
    return await one.run(probe);
  } catch (error) {
    if (error instanceof Unperformable) return { result: error.result, observed: error.message };
    throw error;
  }
}

/** What makes tokens with a new key. */
export async function makeForge(alg: string): Promise<Forge> {
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
