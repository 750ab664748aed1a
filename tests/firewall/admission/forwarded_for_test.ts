// X-Forwarded-For: which proxies are trusted, and where the walk from the right ends.

import assert from "node:assert/strict";
import fc from "fast-check";
import { clientAddress, MAX_FORWARDED_ENTRIES } from "../../../src/firewall/admission/forwarded_for.ts";
import { createNetworkSet } from "../../../src/firewall/admission/network_set.ts";

const TRUSTED = createNetworkSet(["10.0.0.0/8", "2001:db8:ff::/48"]);
const PROXY = "10.0.0.1";

function assertClient(expected: string, header: string | undefined, peer = PROXY): void {
  assert.equal(clientAddress(peer, header, TRUSTED), expected, `${peer} with ${header}`);
}

Deno.test("a stranger's header changes nothing", () => {
  assertClient("198.51.100.7", "192.0.2.1", "198.51.100.7");
  assertClient("198.51.100.7", "192.0.2.1, 10.0.0.1", "::ffff:198.51.100.7");
  assert.equal(clientAddress("10.0.0.1", "192.0.2.1", createNetworkSet([])), "10.0.0.1");
});

Deno.test("without a header the proxy itself is the client", () => {
  assertClient(PROXY, undefined);
  assertClient(PROXY, "");
});

Deno.test("the client is the first address from the right that is no trusted proxy", () => {
  assertClient("192.0.2.1", "192.0.2.1");
  assertClient("192.0.2.1", "203.0.113.9, 192.0.2.1");
  assertClient("192.0.2.1", "203.0.113.9, 192.0.2.1, 10.0.0.2,10.0.0.3 ,\t2001:db8:ff::1");
  assertClient("192.0.2.1", "192.0.2.1, 10.0.0.2", "::ffff:10.0.0.1");
});

Deno.test("when all are trusted proxies the leftmost is the client", () => {
  assertClient("10.0.0.3", "10.0.0.3, 10.0.0.2");
});

Deno.test("an entry may have a port, and brackets around IPv6", () => {
  assertClient("192.0.2.1", "192.0.2.1:4711");
  assertClient("2001:db8::1", "[2001:DB8::1]:4711");
  assertClient("2001:db8::1", "[2001:db8::1]");
  assertClient("2001:db8::1", "2001:db8:0::1");
  assertClient("192.0.2.1", "::ffff:192.0.2.1");
  assertClient("192.0.2.1", "[::ffff:192.0.2.1]:1");
});

Deno.test("an entry that is no address ends the walk at the last trusted proxy", () => {
  const junk = [
    "unknown",
    "",
    "_hidden",
    "192.0.2.1:",
    "192.0.2.1:x",
    "192.0.2.1:123456",
    "[192.0.2.1]",
    "[::1",
    "[::1]x",
    "192.0.2.1 192.0.2.2",
    '"192.0.2.1"',
    "192.0.2.300",
    "localhost",
  ];
  for (const entry of junk) {
    assertClient(PROXY, `192.0.2.1, ${entry}`);
    assertClient("10.0.0.2", `192.0.2.1, ${entry}, 10.0.0.2`);
  }
  assertClient("10.0.0.2", ",10.0.0.2");
  assertClient(PROXY, "192.0.2.1,");
});

Deno.test("looks at 32 entries and no more", () => {
  function proxies(count: number): string {
    return Array.from({ length: count }, (_, i) => `10.0.1.${count - i}`).join(", ");
  }
  assertClient("192.0.2.1", `192.0.2.1, ${proxies(MAX_FORWARDED_ENTRIES - 1)}`);
  assertClient("10.0.1.32", `192.0.2.1, ${proxies(MAX_FORWARDED_ENTRIES)}`);
  assertClient("10.0.1.32", `192.0.2.1, ${proxies(MAX_FORWARDED_ENTRIES + 1)}`);
});

Deno.test("nothing that a client puts before its own address changes the result", () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.array(fc.ipV4().map((ip) => `10.${ip.split(".").slice(1).join(".")}`), { maxLength: 20 }),
      (
        claim,
        hops,
      ) => {
        assertClient("192.0.2.1", [claim, "192.0.2.1", ...hops].join(","));
      },
    ),
  );
});

Deno.test("no header throws, and a split at every comma gives the same", () => {
  function reference(header: string): string {
    let address = PROXY;
    for (const entry of header.split(",").reverse()) {
      if (!TRUSTED.has(address) || !/^[0-9.]+$/.test(entry.trim())) return address;
      address = entry.trim();
    }
    return address;
  }
  const entry = fc.constantFrom("10.0.0.2", " 10.9.9.9", "192.0.2.1", "x", "", "203.0.113.5\t");
  fc.assert(fc.property(fc.array(entry, { maxLength: 10 }), (entries) => {
    assertClient(reference(entries.join(",")), entries.join(","));
  }));
  fc.assert(fc.property(fc.string(), (header) => void clientAddress(PROXY, header, TRUSTED)));
});
