// The command `token`: the claims of `create`, and all three subcommands as processes.

import assert from "node:assert/strict";
import { createKeyFile } from "../../src/auth/key_file.ts";
import { generateKey } from "../../src/auth/new_key.ts";
import { describeTime } from "../../src/cli/client/relative_time.ts";
import { UsageError } from "../../src/core/errors.ts";
import { parseClaims } from "../../src/cli/commands/token_create_command.ts";
import { programCommand } from "../support/process.ts";

Deno.test("a claim that is JSON other than text is read as JSON", () => {
  const given = ["admin=true", "n=5", "f=-1.5", "gone=null", "list=[1,2]", 'map={"a":{"b":1}}'];
  assert.deepEqual(parseClaims(given), {
    admin: true,
    n: 5,
    f: -1.5,
    gone: null,
    list: [1, 2],
    map: { a: { b: 1 } },
  });
});

Deno.test("any other claim is text as typed", () => {
  assert.deepEqual(
    parseClaims(["role=editor", 'quoted="x"', "empty=", "sum=1=1", "broken={", "lines=a\nb"]),
    {
      role: "editor",
      quoted: '"x"',
      empty: "",
      sum: "1=1",
      broken: "{",
      lines: "a\nb",
    },
  );
});

Deno.test("a claim may be called like a property of every object", () => {
  const claims = parseClaims(["__proto__=1", "constructor=x"]);
  assert.deepEqual(Object.entries(claims), [["__proto__", 1], ["constructor", "x"]]);
});

Deno.test("a number is refused as soon as it would be rounded", () => {
  assert.deepEqual(parseClaims(["id=9007199254740991"]), { id: Number.MAX_SAFE_INTEGER });
  assert.throws(() => parseClaims(["id=9007199254740993"]), UsageError);
  assert.throws(() => parseClaims(["id=1e400"]), UsageError);
});

for (const name of ["exp", "iat", "jti", "nbf", "sub", "user_id"]) {
  Deno.test(`refuses the claim ${name}, which the server writes itself`, () => {
    assert.throws(() => parseClaims([`${name}=1`]), UsageError);
  });
}

for (const given of [["admin"], ["=x"], [""], ["a=1", "a=2"]]) {
  Deno.test(`refuses the claims ${JSON.stringify(given)}`, () => {
    assert.throws(() => parseClaims(given), UsageError);
  });
}

/** Runs `token` with text on stdin, in a folder with two keys and their public halves. */
class Bench implements AsyncDisposable {
  readonly folder = Deno.makeTempDirSync();

  static async open(): Promise<Bench> {
    const bench = new Bench();
    for (const name of ["wsward", "other"]) {
      const { privateText, publicText } = await generateKey("EdDSA", name);
      await createKeyFile(`${bench.folder}/${name}.key`, privateText, { mode: 0o600 });
      await createKeyFile(`${bench.folder}/${name}.json`, publicText ?? "", { mode: 0o644 });
    }
    return bench;
  }

  async token(args: readonly string[], stdin = "", env: Record<string, string> = {}) {
    const permissions = ["--no-prompt", "--allow-read=.", "--allow-env=WSWARD_*"];
    const command = programCommand(["token", ...args], permissions, { ...env, NO_COLOR: "1" });
    const child = new Deno.Command(command.path, {
      ...command,
      cwd: this.folder,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    // A program that fails early does not read it.
    await writer.write(new TextEncoder().encode(stdin)).catch(() => {});
    await writer.close().catch(() => {});
    const { code, stdout, stderr } = await child.output();
    return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
  }

  async create(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.token(["create", "--user", "alice", ...args]);
    assert.equal(stderr, "");
    assert.equal(code, 0);
    return stdout.trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

Deno.test("what create writes is what verify asks for, by the same flags and variables", async () => {
  await using bench = await Bench.open();
  const flags = ["--issuer", "me", "--audience", "chat", "--audience", "mail", "--token-type", "at+jwt"];
  const token = await bench.create(...flags);
  const byFlags = await bench.token(["verify", ...flags, "--key-file", "wsward.json", token]);
  assert.match(byFlags.stdout, /^Valid: user "alice", accepted until \d{4}-.*Z \(in 1[45]m\d*s?\)\n$/);
  assert.equal(byFlags.code, 0);
  const variables = { WSWARD_ISSUER: "me", WSWARD_AUDIENCE: "other,mail", WSWARD_TOKEN_TYPE: "AT+JWT" };
  assert.equal((await bench.token(["verify"], token, variables)).code, 0);
});

Deno.test("verify says which rule a token breaks, with exit code 1", async () => {
  await using bench = await Bench.open();
  const token = await bench.create("--audience", "chat");
  const verify = async (...args: string[]) => {
    const { code, stdout, stderr } = await bench.token(["verify", ...args], token);
    assert.equal(stderr, "");
    assert.equal(code, 1);
    return stdout;
  };
  assert.equal(await verify(), "Not valid: claim aud is there, but no audience is configured\n");
  assert.equal(await verify("--audience", "mail"), "Not valid: claim aud names somebody else\n");
  assert.equal(await verify("--issuer", "me", "--audience", "chat"), "Not valid: claim iss is missing\n");
  assert.equal(await verify("--token-type", "x"), "Not valid: header typ is not the token type\n");
  assert.equal(await verify("--key-file", "other.json"), "Not valid: key id is unknown\n");
  assert.equal(await verify("hello"), "Not valid: token is not three base64url parts\n");
  assert.deepEqual(JSON.parse(await verify("--json", "--audience", "mail")), {
    valid: false,
    reason: "invalid",
    detail: "claim aud names somebody else",
  });
});

Deno.test("verify tells programs what it found as one JSON object", async () => {
  await using bench = await Bench.open();
  const token = await bench.create("--claim", "odd=\u009b\u202e");
  const { code, stdout } = await bench.token(["verify", "--json"], token);
  assert.equal(code, 0);
  assert.doesNotMatch(stdout.trimEnd(), /[\p{Cc}\p{Cf}]/u);
  const { valid, user, claims } = JSON.parse(stdout);
  assert.deepEqual([valid, user, claims.odd], [true, "alice", "\u009b\u202e"]);
});

Deno.test("a token is read from the argument, a file or stdin, with space around it", async () => {
  await using bench = await Bench.open();
  const token = await bench.create();
  await Deno.writeTextFile(`${bench.folder}/token.txt`, `\n  ${token}\r\n`);
  for (const command of ["verify", "inspect"]) {
    assert.equal((await bench.token([command, token])).code, 0);
    assert.equal((await bench.token([command, "--file", "token.txt"])).code, 0);
    assert.equal((await bench.token([command], `${token}\n`)).code, 0);
    assert.equal((await bench.token([command, "-"], token)).code, 0);
    assert.equal((await bench.token([command, "--file", "token.txt", token])).code, 2);
    assert.equal((await bench.token([command], " \n")).code, 2);
    const missing = await bench.token([command, "--file", "missing"]);
    assert.equal(missing.stderr, 'Cannot read the token from file "missing": it does not exist\n');
    assert.equal(missing.code, 1);
    const large = await bench.token([command], "x".repeat(65_537));
    assert.match(large.stderr, /^Cannot read the token from stdin: it is larger than 65536 bytes\n$/);
  }
});

Deno.test("inspect shows expired and broken tokens without calling them verified", async () => {
  await using bench = await Bench.open();
  const encode = (text: string) => btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const token = `${encode('{"alg":"none"}')}.${encode('{"exp":86400,"x":"\\u001b[31m"}')}.`;
  const { code, stdout, stderr } = await bench.token(["inspect"], token);
  assert.equal(code, 0);
  assert.equal(stderr, "");
  assert.match(stdout, /^NOT VERIFIED: /);
  assert.match(stdout, /"alg": "none"/);
  assert.match(stdout, /"x": "\\u001b\[31m"/);
  assert.match(stdout, /\nexp: 1970-01-02T00:00:00Z \(\d+d.* ago\)\n/);
  assert.match(stdout, /\nFaults\nit has no signature\n/);

  const none = await bench.token(["inspect", "hello"]);
  assert.deepEqual(none, { code: 1, stdout: "", stderr: "Cannot inspect the token: it is not a JWT\n" });
});

Deno.test("create signs with any private key, and says so when the key is public", async () => {
  await using bench = await Bench.open();
  const token = await bench.create("--key-file", "other.key");
  assert.equal((await bench.token(["verify", "--key-file", "other.json", token])).code, 0);
  const { code, stderr } = await bench.token(["create", "--user", "a", "--key-file", "other.json"]);
  assert.equal(stderr, 'Cannot sign with key file "other.json": its keys are public\n');
  assert.equal(code, 1);
});

Deno.test("describes times to the second, ago and ahead", () => {
  assert.equal(describeTime(0, 0), "1970-01-01T00:00:00Z (now)");
  assert.equal(describeTime(999, 0), "1970-01-01T00:00:00Z (now)");
  assert.equal(describeTime(90_000, 0), "1970-01-01T00:01:30Z (in 1m30s)");
  assert.equal(describeTime(500, 90_000), "1970-01-01T00:00:00Z (1m29s ago)");
  assert.equal(describeTime(-86_400_000, 0), "1969-12-31T00:00:00Z (1d ago)");
});
