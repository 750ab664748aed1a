// What counts as an address, compared with the runtime's own reading, and its one spelling.

import assert from "node:assert/strict";
import { isIP } from "node:net";
import fc from "fast-check";
import { formatIpAddress, ipVersion, parseIpAddress } from "../../src/core/ip_address.ts";

/** What other readers of addresses take, or take for something else. */
const HOSTILE = [
  "",
  ".",
  ":",
  "::",
  ":::",
  "0.0.0.0",
  "255.255.255.255",
  "256.0.0.1",
  "1.2.3",
  "1.2.3.4.5",
  "1.2.3.",
  ".1.2.3",
  "1..2.3",
  "01.2.3.4",
  "1.2.3.04",
  "00.0.0.0",
  "0x7f.0.0.1",
  "127.1",
  "2130706433",
  "1e1.0.0.1",
  "+1.2.3.4",
  "-1.2.3.4",
  " 1.2.3.4",
  "1.2.3.4 ",
  "1.2.3.4\n",
  "1.2.3.4%eth0",
  "1.2.3.4/32",
  "١.2.3.4",
  "１.2.3.4",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7::",
  "::2:3:4:5:6:7:8",
  "1:2:3:4:5:6:7::8",
  "1::2:3:4:5:6:7:8",
  "1::2::3",
  "1:::2",
  ":1::2",
  "1::2:",
  ":1:2:3:4:5:6:7",
  "12345::",
  "00001::",
  "g::",
  "FFFF::ffff",
  "::ffff:1.2.3.4",
  "::ffff:01.2.3.4",
  "::ffff:1.2.3",
  "::ffff:1.2.3.256",
  "::1.2.3.4:5",
  "1.2.3.4::",
  "1.2.3.4::1",
  "1:2:3:4:5:6:1.2.3.4",
  "1:2:3:4:5:6:7:1.2.3.4",
  "1:2:3:4:5::1.2.3.4",
  "1:2:3:4:5:6::1.2.3.4",
  "::1%",
  "::1%eth0",
  "::1%a%b",
  "::1%a b",
  "::1%:",
  "%eth0",
  "[::1]",
  "::1\n",
  "::1/128",
  "\u0000::1",
];

/** Texts that are addresses, almost are, or only consist of the same pieces. */
function nearlyAddresses(): fc.Arbitrary<string> {
  const piece = fc.constantFrom(
    ":",
    "::",
    ".",
    "%",
    "/",
    "0",
    "00",
    "1",
    "255",
    "256",
    "01",
    "ffff",
    "g",
    " ",
    "",
  );
  const address = fc.oneof(fc.ipV4(), fc.ipV6());
  return fc.oneof(
    fc.string(),
    address,
    fc.ipV4Extended(),
    fc.array(piece, { maxLength: 20 }).map((pieces) => pieces.join("")),
    fc.tuple(address, fc.nat(40), piece).map(([text, at, added]) =>
      text.slice(0, at) + added + text.slice(at)
    ),
    fc.tuple(fc.ipV6(), fc.string()).map(([text, zone]) => `${text}%${zone}`),
  );
}

Deno.test("an address is what the runtime takes for one, of the same family", () => {
  for (const text of HOSTILE) assert.equal(ipVersion(text) ?? 0, isIP(text), JSON.stringify(text));
  fc.assert(
    fc.property(nearlyAddresses(), (text) => {
      const version = isIP(text);
      assert.equal(ipVersion(text) ?? 0, version);
      assert.equal(parseIpAddress(text)?.length, version === 0 ? undefined : version === 4 ? 4 : 8);
    }),
    { numRuns: 20_000 },
  );
});

Deno.test("the spelling of an address is that of the URL standard", () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const host = new URL(`http://[${text}]`).hostname;
      assert.equal(`[${formatIpAddress(parseIpAddress(text)!)}]`, host);
    }),
    { numRuns: 2000 },
  );
  fc.assert(fc.property(fc.ipV4(), (text) => assert.equal(formatIpAddress(parseIpAddress(text)!), text)));
});

Deno.test("of the runs of zeros the first of the longest is left out, and one zero is not", () => {
  const spellings: Record<string, string> = {
    "0:0:0:0:0:0:0:0": "::",
    "1:0:0:2:0:0:0:3": "1:0:0:2::3",
    "1:0:0:2:3:0:0:4": "1::2:3:0:0:4",
    "1:0:2:3:4:5:6:7": "1:0:2:3:4:5:6:7",
    "0:0:1:2:3:4:5:6": "::1:2:3:4:5:6",
    "1:2:3:4:5:6:0:0": "1:2:3:4:5:6::",
  };
  for (const [text, expected] of Object.entries(spellings)) {
    assert.equal(formatIpAddress(parseIpAddress(text)!), expected, text);
  }
});
