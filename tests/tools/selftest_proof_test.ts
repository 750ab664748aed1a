// What the self-test finds in three servers by others: exactly this, case by case.

import assert from "node:assert/strict";
import { runSelftest } from "../../src/tools/selftest/run.ts";
import { foreignCommand, type ForeignName, ForeignServer } from "../support/foreign_servers.ts";
import { optionsFor } from "../support/selftest_case.ts";

/** What is not as it should be in all of them: none knows Host, path or Origin, and all wait for ever. */
const IN_ALL = {
  "hs-no-host": "fail",
  "hs-foreign-host": "warn",
  "hs-path-unknown": "warn",
  "origin-foreign": "warn",
  "origin-null": "warn",
  "origin-lookalike": "warn",
  "tcp-silent": "warn",
  "half-head": "warn",
  "drip-head": "warn",
  "unfinished-message": "warn",
  "ws-idle": "warn",
  "fr-length-nonminimal": "warn",
  "limit-connections": "warn",
};

/** A FIN without a Close frame, where Deno ends a connection for a violation. */
const NO_CLOSE_FRAME = [
  "fr-rsv1",
  "fr-rsv2",
  "fr-rsv3",
  "fr-rsv-ping",
  "fr-opcode-3",
  "fr-opcode-7",
  "fr-opcode-b",
  "fr-opcode-f",
  "fr-length-msb",
  "fr-length-huge-claim",
  "frag-orphan",
  "frag-interleaved-final",
  "frag-rsv-continuation",
  "ctl-ping-126",
  "ctl-ping-fragmented",
  "ctl-close-fragmented",
  "utf8-invalid",
  "utf8-surrogate",
  "utf8-overlong",
  "utf8-above-10ffff",
  "utf8-truncated",
  "utf8-across-fragments",
  "utf8-close-reason",
  "close-one-byte",
];

const FOUND: Readonly<Record<ForeignName, Readonly<Record<string, string>>>> = {
  "Deno.serve": {
    ...IN_ALL,
    ...Object.fromEntries(NO_CLOSE_FRAME.map((id) => [id, "warn"])),
    "hs-post": "fail",
    "hs-http10": "fail",
    "hs-no-version": "fail",
    "hs-version-99": "fail",
    "hs-no-key": "fail",
    "hs-bad-key": "fail",
    "hs-two-keys": "fail",
    "hs-no-upgrade": "fail",
    "hs-plain-get": "fail",
    "origin-two": "warn",
    "fr-unmasked-text": "fail",
    "fr-unmasked-ping": "fail",
    "fr-unmasked-close": "fail",
    "frag-interleaved-nonfinal": "fail",
    "ctl-pong-126": "fail",
    "utf8-truncated-last-fragment": "fail",
    "close-126": "fail",
    "keepalive-idle": "warn",
    "limit-frame": "warn",
    "limit-message-fragments": "warn",
    "limit-fragment-count": "warn",
  },
  ws: {
    ...IN_ALL,
    "hs-http10": "fail",
    "hs-two-hosts": "fail",
    "hs-body": "warn",
    "hs-subprotocol-unknown": "warn",
    "origin-two": "warn",
    "close-hung-up": "warn",
    "keepalive-idle": "warn",
    "limit-frame": "warn",
    "limit-message-fragments": "warn",
  },
  websockets: {
    ...IN_ALL,
    "hs-two-hosts": "fail",
    "hs-version-99": "warn",
    "hs-te-and-cl": "warn",
    "hs-body": "warn",
    "close-after-text": "warn",
    "close-hung-up": "warn",
    "limit-fragment-count": "warn",
  },
};

for (const [name, found] of Object.entries(FOUND)) {
  const command = await foreignCommand(name as ForeignName);
  Deno.test({
    name: `finds in ${name} exactly what is known`,
    ignore: command === undefined,
    async fn() {
      await using server = await ForeignServer.start(command!);
      const { reports, controlLost } = await runSelftest(optionsFor(`ws://127.0.0.1:${server.port}/`, {
        classes: new Set(["harmless", "limit"]),
        // How fast a server is depends on the machine.
        skip: ["limit-message-rate"],
        timeoutMs: 3000,
        thresholds: {
          frame: 32 * 1024 * 1024,
          message: 64 * 1024 * 1024,
          fragments: 100_000,
          messages: 50_000,
          connections: 200,
          silenceMs: 2000,
          hangUpMs: 3000,
        },
      }));
      const seen = reports.filter(({ result }) => ["fail", "warn", "error"].includes(result));
      assert.deepEqual(
        Object.fromEntries(seen.map(({ case: { id }, result }) => [id, result]).sort()),
        Object.fromEntries(Object.entries(found).sort()),
        seen.map(({ case: { id }, observed }) => `${id}: ${observed}`).join("\n"),
      );
      assert.equal(controlLost, undefined);
    },
  });
}
