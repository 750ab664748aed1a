// `key create` as a process: what it writes, with which modes, and what it never replaces.

import assert from "node:assert/strict";
import { ALGORITHMS } from "../../src/auth/jwk.ts";
import { loadKeys } from "../../src/auth/key_file.ts";
import { createVerifier, mintToken } from "../../src/auth/token.ts";
import { run } from "../support/process.ts";

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function modeOf(path: string): Promise<number> {
  return ((await Deno.stat(path)).mode ?? 0) & 0o777;
}

for (
  const alg of ["HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"] as const
) {
  Deno.test(`writes a key for ${alg} that signs, and its public half that verifies`, async () => {
    await withFolder(async (folder) => {
      const hasPublicHalf = ALGORITHMS[alg].kty !== "oct";
      const half = hasPublicHalf ? ["--public-out", "public.json"] : [];
      const { code, stdout, stderr } = await run(["key", "create", "--alg", alg, ...half], { folder });
      assert.equal(stderr, "");
      assert.match(
        stdout,
        hasPublicHalf
          ? new RegExp(
            `^Wrote ${alg} key "[\\w-]{43}" to "wsward.key", and its public half to "public.json"\n$`,
          )
          : new RegExp(`^Wrote ${alg} key "[\\w-]{22}" to "wsward.key"\n$`),
      );
      assert.equal(code, 0);
      const { signer } = await loadKeys(`${folder}/wsward.key`);
      assert.equal(signer?.alg, alg);
      assert.ok(stdout.includes(`"${signer.kid}"`));
      if (Deno.build.os !== "windows") assert.equal(await modeOf(`${folder}/wsward.key`), 0o600);

      const verifying = await loadKeys(`${folder}/${hasPublicHalf ? "public.json" : "wsward.key"}`);
      const token = await mintToken(signer, { user: "alice", expiresInMs: 60_000, claims: {} });
      assert.equal((await createVerifier(verifying).verify(token)).ok, true);
      if (!hasPublicHalf) return;
      assert.equal(verifying.signer, undefined);
      assert.doesNotMatch(await Deno.readTextFile(`${folder}/public.json`), /"d"|"p"|"q"/);
      if (Deno.build.os !== "windows") assert.equal(await modeOf(`${folder}/public.json`), 0o644);
    });
  });
}

Deno.test("takes the name that it is given", async () => {
  await withFolder(async (folder) => {
    const { stdout } = await run(["key", "create", "--kid", "2030-01", "--out", "new.key"], { folder });
    assert.equal(stdout, 'Wrote HS256 key "2030-01" to "new.key"\n');
    assert.equal((await loadKeys(`${folder}/new.key`)).signer?.kid, "2030-01");
  });
});

Deno.test("never replaces a file, and leaves no half behind", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/there`, "precious");
    const pairs = [["there", "public.json"], ["new.key", "there"], ["there", "there2"]] as const;
    for (const [out, publicOut] of pairs) {
      const args = ["key", "create", "--alg", "EdDSA", "--out", out, "--public-out", publicOut];
      const { code, stdout, stderr } = await run(args, { folder });
      assert.equal(stderr, 'Cannot create key file "there": it exists already\n');
      assert.equal(stdout, "");
      assert.equal(code, 1);
    }
    assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["there"]);
    assert.equal(await Deno.readTextFile(`${folder}/there`), "precious");
  });
});

const WRONG: readonly (readonly [name: string, args: readonly string[], expected: RegExp])[] = [
  ["an unknown algorithm", ["--alg", "none"], /--alg "none": it must be one of HS256/],
  ["the public half of a secret", ["--public-out", "p"], /--public-out with --alg HS256: a secret has no/],
  ["one file for both halves", ["--alg", "EdDSA", "--public-out", "wsward.key"], /the same file as --out/],
  ["a name that can't be seen", ["--kid", "a\nb"], /Cannot use --kid "a\\nb"/],
];

for (const [name, args, expected] of WRONG) {
  Deno.test(`refuses ${name} with exit code 2`, async () => {
    await withFolder(async (folder) => {
      const { code, stdout, stderr } = await run(["key", "create", ...args], { folder });
      assert.match(stderr, expected);
      assert.equal(stdout, "");
      assert.equal(code, 2);
      assert.deepEqual([...Deno.readDirSync(folder)], []);
    });
  });
}
