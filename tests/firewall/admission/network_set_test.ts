// Spellings of addresses, sets of networks compared with a reference in integers, and client keys.

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  canonicalAddress,
  clientKey,
  createNetworkSet,
  isLoopback,
} from "../../../src/firewall/admission/network_set.ts";

const V4_MAPPED = 0xffffn << 32n;

function formatV4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".");
}

function formatV6(value: bigint): string {
  return Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - i * 16)) & 0xffffn).toString(16)).join(
    ":",
  );
}

/** Whether both numbers have the same first `prefix` of their `bits` bits. */
function isSameNetwork(a: bigint, b: bigint, prefix: number, bits: number): boolean {
  const shift = BigInt(bits - prefix);
  return a >> shift === b >> shift;
}

/** A number of `bits` bits, another that differs from it in one bit, and a prefix length. */
function neighbours(bits: number) {
  const max = (1n << BigInt(bits)) - 1n;
  return fc.record({
    network: fc.bigInt({ min: 0n, max }),
    flipped: fc.option(fc.nat(bits - 1), { nil: undefined }),
    prefix: fc.nat(bits),
  }).map(({ network, flipped, prefix }) => ({
    network,
    prefix,
    address: flipped === undefined ? network : network ^ (1n << BigInt(flipped)),
  }));
}

Deno.test("an address has one spelling", () => {
  const spellings: Record<string, string | undefined> = {
    "192.0.2.1": "192.0.2.1",
    "::ffff:1.2.3.4": "1.2.3.4",
    "::ffff:102:304": "1.2.3.4",
    "::FFFF:255.255.255.255": "255.255.255.255",
    "0:0:0:0:0:ffff:0102:0304": "1.2.3.4",
    "::ffff:0:0": "0.0.0.0",
    "2001:DB8:0:0:0:0:0:1": "2001:db8::1",
    "fe80::1%eth0": "fe80::1",
    "::ffff:1.2.3.4%1": "1.2.3.4",
    "::": "::",
    "": undefined,
    "localhost": undefined,
    "1.2.3": undefined,
    "01.2.3.4": undefined,
    "1.2.3.4%eth0": undefined,
    "[::1]": undefined,
    " ::1": undefined,
    "192.0.2.0/24": undefined,
  };
  for (const [text, expected] of Object.entries(spellings)) {
    assert.equal(canonicalAddress(text), expected, text);
  }
});

Deno.test("an IPv4 network holds exactly its addresses, plain or mapped", () => {
  fc.assert(
    fc.property(neighbours(32), ({ network, address, prefix }) => {
      const expected = isSameNetwork(network, address, prefix, 32);
      const mapped = formatV6(V4_MAPPED | address);
      for (
        const text of [
          `${formatV4(network)}/${prefix}`,
          `${formatV6(V4_MAPPED | network)}/${prefix + 96}`,
          `::ffff:${formatV4(network)}/${prefix + 96}`,
        ]
      ) {
        const set = createNetworkSet([text]);
        assert.equal(set.has(formatV4(address)), expected);
        assert.equal(set.has(mapped), expected);
        assert.equal(set.has(`::ffff:${formatV4(address)}`), expected);
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("an IPv6 network holds exactly its addresses", () => {
  fc.assert(
    fc.property(neighbours(128), ({ network, address, prefix }) => {
      const set = createNetworkSet([`${formatV6(network)}/${prefix}`]);
      const expected = isSameNetwork(network, address, prefix, 128);
      assert.equal(set.has(formatV6(address)), expected);
      assert.equal(set.has(`${canonicalAddress(formatV6(address))}%eth0`), expected);
    }),
    { numRuns: 300 },
  );
});

Deno.test("the canonical spelling means the same number and is the same for every spelling of it", () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const canonical = canonicalAddress(text);
      assert.ok(canonical !== undefined);
      assert.equal(canonicalAddress(canonical), canonical);
      assert.equal(createNetworkSet([text]).has(canonical), true);
      assert.equal(canonicalAddress(text.toUpperCase()), canonical);
    }),
  );
});

Deno.test("a network of one family holds nothing of the other", () => {
  const all4 = createNetworkSet(["0.0.0.0/0"]);
  const all6 = createNetworkSet(["::/0"]);
  assert.equal(all4.has("198.51.100.7"), true);
  assert.equal(all4.has("2001:db8::1"), false);
  assert.equal(all4.has("::1"), false);
  assert.equal(all6.has("2001:db8::1"), true);
  assert.equal(all6.has("198.51.100.7"), false);
  assert.equal(all6.has("::ffff:198.51.100.7"), false);
});

Deno.test("an address alone is a network of one", () => {
  const set = createNetworkSet(["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.9"]);
  assert.equal(set.size, 3);
  assert.equal(set.has("192.0.2.1"), true);
  assert.equal(set.has("192.0.2.9"), true);
  assert.equal(set.has("2001:DB8:0::1"), true);
  assert.equal(set.has("192.0.2.2"), false);
  assert.equal(set.has("2001:db8::2"), false);
});

Deno.test("what is no address is in no network and throws nothing", () => {
  const set = createNetworkSet(["0.0.0.0/0", "::/0"]);
  fc.assert(fc.property(fc.string(), (text) => {
    assert.equal(set.has(text), canonicalAddress(text) !== undefined);
  }));
  assert.equal(createNetworkSet([]).has("192.0.2.1"), false);
});

Deno.test("a set of many networks, nested or not, holds what one of them holds", () => {
  // Few bits, so that networks meet.
  const networks = fc.record({ bits: fc.nat(255), prefix: fc.integer({ min: 24, max: 32 }) });
  fc.assert(
    fc.property(fc.array(networks, { maxLength: 60 }), fc.boolean(), (given, isV6) => {
      const text = (bits: number) => isV6 ? `2001:db8::${bits.toString(16)}` : `192.0.2.${bits}`;
      const set = createNetworkSet(
        given.map(({ bits, prefix }) => `${text(bits)}/${prefix + (isV6 ? 96 : 0)}`),
      );
      for (let bits = 0; bits < 256; bits++) {
        const expected = given.some((network) =>
          isSameNetwork(BigInt(network.bits), BigInt(bits), network.prefix, 32)
        );
        assert.equal(set.has(text(bits)), expected, text(bits));
      }
    }),
    { numRuns: 200 },
  );
});

Deno.test("a text that is no network is a mistake of the caller, and never a set that lacks it", () => {
  for (
    const text of [
      "example.com",
      "",
      "192.0.2.0/33",
      "192.0.2.0/-1",
      "192.0.2.0/x",
      "192.0.2.0/",
      "::/129",
      "::1%1",
    ]
  ) {
    assert.throws(() => createNetworkSet(["192.0.2.0/24", text]), TypeError, text);
  }
});

Deno.test("loopback is known in every spelling", () => {
  for (
    const text of ["127.0.0.1", "127.255.255.254", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "::1%lo"]
  ) {
    assert.equal(isLoopback(text), true, text);
  }
  for (
    const text of ["128.0.0.1", "::2", "::", "0.0.0.0", "127.evil.example", "localhost", "::ffff:1.2.3.4"]
  ) {
    assert.equal(isLoopback(text), false, text);
  }
});

Deno.test("a client is an IPv4 address or the /64 of an IPv6 address", () => {
  const keys: Record<string, string> = {
    "192.0.2.1": "192.0.2.1",
    "::ffff:192.0.2.1": "192.0.2.1",
    "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
    "2001:db8:1:2::": "2001:db8:1:2::/64",
    "2001:db8::5:6": "2001:db8::/64",
    "2001:db8::3:4:5:6": "2001:db8::/64",
    "2001::2:3:4:5:6": "2001:0:0:2::/64",
    "::": "::/64",
    "1:2:3::": "1:2:3::/64",
    "2001:0:0:1::9": "2001:0:0:1::/64",
    "::1:2:3:4:5": "0:0:0:1::/64",
    "fe80::1%eth0": "fe80::/64",
    "::1": "::1",
    "::2": "::/64",
    "junk": "junk",
  };
  for (const [address, key] of Object.entries(keys)) assert.equal(clientKey(address), key, address);
});

Deno.test("two IPv6 addresses are one client exactly when their first 64 bits are the same", () => {
  fc.assert(
    fc.property(neighbours(128), ({ network, address }) => {
      const [first, second] = [formatV6(network), formatV6(address)];
      fc.pre(canonicalAddress(first)!.includes(":") && first !== "0:0:0:0:0:0:0:1");
      fc.pre(canonicalAddress(second)!.includes(":") && second !== "0:0:0:0:0:0:0:1");
      assert.equal(clientKey(first) === clientKey(second), isSameNetwork(network, address, 64, 128));
      assert.equal(createNetworkSet([clientKey(first)]).has(first), true);
    }),
  );
});
