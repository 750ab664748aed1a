// Signatures of every algorithm, and texts that can't be one.

import assert from "node:assert/strict";
import { type CryptoKey as AnyKey, generateKeyPair, generateSecret, SignJWT } from "jose";
import { type Algorithm, ALGORITHMS } from "../../src/auth/jwk.ts";
import { isSignedWith } from "../../src/auth/signature.ts";

async function makeKey(alg: Algorithm): Promise<{ verifying: AnyKey; signing: AnyKey }> {
  const made = ALGORITHMS[alg].kty === "oct" ? await generateSecret(alg) : await generateKeyPair(alg);
  const { privateKey, publicKey } = "publicKey" in made
    ? made
    : { privateKey: made as AnyKey, publicKey: made as AnyKey };
  return { verifying: publicKey, signing: privateKey };
}

for (const alg of Object.keys(ALGORITHMS) as Algorithm[]) {
  Deno.test(`${alg}: takes the right signature and no other`, async () => {
    const key = await makeKey(alg);
    const token = await new SignJWT({ a: 1 }).setProtectedHeader({ alg }).sign(key.signing);
    assert.ok(await isSignedWith(alg, key.verifying, token));
    const [header, payload, signature = ""] = token.split(".");
    const size = Uint8Array.fromBase64(signature, { alphabet: "base64url" }).length;
    for (const wrong of [0, 1, size - 1, size, size + 1, 2 * size, 3000]) {
      for (const fill of [0, 255]) {
        const bytes = new Uint8Array(wrong).fill(fill);
        const text = bytes.toBase64({ alphabet: "base64url", omitPadding: true });
        assert.equal(
          await isSignedWith(alg, key.verifying, `${header}.${payload}.${text}`),
          false,
          `${wrong} bytes`,
        );
      }
    }
    assert.equal(await isSignedWith(alg, key.verifying, `${header}.e30.${signature}`), false);
    assert.equal(await isSignedWith(alg, (await makeKey(alg)).verifying, token), false, "another key");
  });
}
