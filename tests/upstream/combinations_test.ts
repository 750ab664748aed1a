// Contradictory settings of an upstream are refused at the start, each with what is wrong; valid neighbours are not.

import assert from "node:assert/strict";
import { UsageError } from "../../src/core/errors.ts";
import type { SettingName } from "../../src/core/settings/declarations.ts";
import { parseSettings } from "../../src/core/settings/settings.ts";
import type { GivenValue } from "../../src/core/settings/setting_types.ts";
import { run } from "../support/process.ts";

type Given = Readonly<Partial<Record<SettingName, GivenValue>>>;

const parse = (given: Given) =>
  parseSettings(new Map(Object.entries(given) as [SettingName, GivenValue][]), () => undefined);

const upstream = ["wss://ws.example"];

const WRONG: readonly [given: Given, mistake: RegExp][] = [
  [{ upstream, secure: false, echoPort: "1" }, /^Cannot use --upstream with --no-secure/],
  [{ upstreamAuth: "none" }, /^Cannot use --upstream-auth none without --upstream/],
  [
    { upstream, upstreamTimeout: "10s", handshakeTimeout: "10s" },
    /^Cannot use --upstream-timeout: .* shorter/,
  ],
  [
    { upstream, upstreamAuth: "none", upstreamClaim: ["role=X-Role"] },
    /^Cannot pass claims on with --upstream-auth/,
  ],
  [
    { upstream, upstreamAuth: "none", upstreamClaimsHeader: "X-Claims" },
    /^Cannot pass claims on with --upstream-auth/,
  ],
  [{ upstream, upstreamClaim: ["a=X-A", "b=x-a"] }, /^Cannot pass two things on in one header/],
  [
    { upstream, upstreamClaim: ["a=X-A"], upstreamClaimsHeader: "x-a" },
    /^Cannot pass two things on in one header/,
  ],
  [{ upstream, upstreamCert: "a.pem" }, /^Cannot use only one of --upstream-cert and --upstream-key/],
  [{ upstream, upstreamKey: "a.key" }, /^Cannot use only one of --upstream-cert and --upstream-key/],
  [
    { upstream, upstreamCert: "a.pem", upstreamKey: "a.key", upstreamServerName: "b.example" },
    /^Cannot use --upstream-server-name with --upstream-cert: .* the name in the URL$/,
  ],
  [
    { upstream, tokenCookie: "jwt", insecureAllowAnyOrigin: true },
    /^Cannot use --token-cookie with --insecure-/,
  ],
  [
    { upstream, tokenCookie: "jwt", insecureAllowNullOrigin: true },
    /^Cannot use --token-cookie with --insecure-/,
  ],
];

const RIGHT: readonly Given[] = [
  { upstream },
  { upstream, upstreamAuth: "none" },
  { upstream, upstreamTimeout: "9999ms", handshakeTimeout: "10s" },
  // Nothing is dialled without one.
  { upstreamTimeout: "10s", handshakeTimeout: "10s" },
  { upstream, upstreamClaim: ["a=X-A", "b=X-B"], upstreamClaimsHeader: "X-C" },
  { upstream, upstreamCert: "a.pem", upstreamKey: "a.key" },
  { upstream, upstreamServerName: "b.example", upstreamCa: "ca.pem" },
  { upstream, tokenCookie: "jwt" },
];

Deno.test("what contradicts itself is refused, with what is wrong", () => {
  for (const [given, mistake] of WRONG) {
    assert.throws(() => parse(given), (error) => {
      assert.ok(error instanceof UsageError, JSON.stringify(given));
      assert.match(error.message, mistake);
      return true;
    });
  }
  for (const given of RIGHT) parse(given);
});

Deno.test("a certificate under another name than that of the URL ends a start with 2", async () => {
  const tls = ["--upstream-cert", "a.pem", "--upstream-key", "a.key", "--upstream-server-name", "b.example"];
  const { code, stderr } = await run(["serve", "--upstream", "wss://ws.example", ...tls]);
  assert.equal(code, 2);
  assert.match(stderr, /^Cannot use --upstream-server-name with --upstream-cert: /);
});
