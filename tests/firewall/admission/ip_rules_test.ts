// Allow and deny, from settings and from a real rules file that changes.

import assert from "node:assert/strict";
import { StartError } from "../../../src/core/errors.ts";
import { IpRules } from "../../../src/firewall/admission/ip_rules.ts";

function rules(
  { allow = [], deny = [], file }: { allow?: string[]; deny?: string[]; file?: string },
): IpRules {
  return new IpRules({ allowIp: allow, denyIp: deny, rulesFile: file });
}

function passes(ipRules: IpRules, address: string): boolean {
  const refusal = ipRules.check(address);
  assert.ok(refusal === undefined || refusal.status === 403);
  return refusal === undefined;
}

/** Runs `use` with a file that holds `text`. */
async function withFile(text: string, use: (path: string) => void): Promise<void> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, text);
    use(path);
  } finally {
    await Deno.remove(path);
  }
}

function messageOf(path: string): string {
  try {
    rules({ file: path });
  } catch (error) {
    assert.ok(error instanceof StartError);
    return error.message;
  }
  assert.fail("the rules were accepted");
}

Deno.test("without rules every address may connect", () => {
  assert.equal(passes(rules({}), "192.0.2.1"), true);
  assert.equal(passes(rules({}), "2001:db8::1"), true);
});

Deno.test("a denied network may not connect, in any spelling", () => {
  const ipRules = rules({ deny: ["192.0.2.0/24", "2001:db8::/32"] });
  assert.equal(passes(ipRules, "192.0.2.1"), false);
  assert.equal(passes(ipRules, "::ffff:192.0.2.1"), false);
  assert.equal(passes(ipRules, "2001:DB8::1"), false);
  assert.equal(passes(ipRules, "192.0.3.1"), true);
  assert.equal(passes(ipRules, "2001:db9::1"), true);
});

Deno.test("with an allowed network all others may not connect, and neither may what is no address", () => {
  const ipRules = rules({ allow: ["192.0.2.0/24"] });
  assert.equal(passes(ipRules, "192.0.2.255"), true);
  assert.equal(passes(ipRules, "192.0.3.0"), false);
  assert.equal(passes(ipRules, "2001:db8::1"), false);
  assert.equal(passes(ipRules, "junk"), false);
});

Deno.test("a deny wins over an allow", () => {
  const ipRules = rules({ allow: ["192.0.2.0/24"], deny: ["192.0.2.7"] });
  assert.equal(passes(ipRules, "192.0.2.6"), true);
  assert.equal(passes(ipRules, "192.0.2.7"), false);
});

Deno.test("the rules file adds to the settings, with comments and blank lines", async () => {
  const text =
    "\ufeff# offices\r\nallow 192.0.2.0/24\r\n\n  deny\t192.0.2.7  # the printer\nallow 2001:db8::/32";
  await withFile(text, (path) => {
    const ipRules = rules({ file: path, allow: ["198.51.100.1"], deny: ["192.0.2.8"] });
    for (const address of ["192.0.2.1", "198.51.100.1", "2001:db8::1"]) {
      assert.equal(passes(ipRules, address), true, address);
    }
    for (const address of ["192.0.2.7", "192.0.2.8", "203.0.113.1"]) {
      assert.equal(passes(ipRules, address), false, address);
    }
  });
});

Deno.test("every mistake in the rules file is told with its line, and no line is quoted", async () => {
  const text =
    "allow 192.0.2.0/24\nsecret words\nallow 192.0.2.0/33\n\ndeny\nAllow ::1\ndeny ::1 ::2\nallow fe80::1%lo\n";
  await withFile(text, (path) => {
    const message = messageOf(path);
    assert.ok(message.startsWith(`Cannot use the rules file ${JSON.stringify(path)}: line 2 `), message);
    const lines = [...message.matchAll(/\bline (\d+) /g)].map((match) => Number(match[1]));
    assert.deepEqual(lines, [2, 3, 5, 6, 7, 8]);
    assert.ok(!message.includes("secret"));
  });
});

Deno.test("a file of another kind is told of in a message of bounded length", async () => {
  await withFile("junk\n".repeat(10_000), (path) => {
    assert.match(messageOf(path), /line 20 [^;]*; and 9980 more$/);
  });
});

Deno.test("a rules file that can't be read ends the start", async () => {
  const folder = await Deno.makeTempDir();
  try {
    assert.match(messageOf(`${folder}/none`), /^Cannot read the rules file /);
  } finally {
    await Deno.remove(folder);
  }
});

Deno.test("reloading takes new rules, and keeps the old ones when the file is wrong or gone", async () => {
  await withFile("deny 192.0.2.1\n", (path) => {
    const ipRules = rules({ file: path });
    assert.equal(passes(ipRules, "192.0.2.1"), false);

    Deno.writeTextFileSync(path, "deny 192.0.2.2\n");
    assert.equal(ipRules.reload(), undefined);
    assert.equal(passes(ipRules, "192.0.2.1"), true);
    assert.equal(passes(ipRules, "192.0.2.2"), false);

    Deno.writeTextFileSync(path, "deny 192.0.2.3\nnonsense\n");
    assert.match(ipRules.reload() ?? "", /line 2 /);
    assert.equal(passes(ipRules, "192.0.2.2"), false);
    assert.equal(passes(ipRules, "192.0.2.3"), true);

    Deno.renameSync(path, `${path}.gone`);
    assert.match(ipRules.reload() ?? "", /^Cannot read the rules file /);
    assert.equal(passes(ipRules, "192.0.2.2"), false);
    Deno.renameSync(`${path}.gone`, path);
  });
});
