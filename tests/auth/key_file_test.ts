// The key file: how it is created, and which files are refused.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { generateKeyPairSync } from "node:crypto";
import {
  createKeyFileIfMissing,
  draftPath,
  loadKeys,
  MAX_KEY_FILE_SIZE_BYTES,
} from "../../src/auth/key_file.ts";
import { createVerifier, mintToken } from "../../src/auth/token.ts";
import { StartError } from "../../src/core/errors.ts";
import { isOpenMode } from "../../src/core/regular_file.ts";

const IS_WINDOWS = Deno.build.os === "windows";
const SECRET = Buffer.from(Array.from({ length: 70 }, (_, i) => (i * 37 + 251) % 256));

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Asserts that a promise rejects with a one-line StartError, and returns its message. */
async function startError(promise: Promise<unknown>): Promise<string> {
  let message = "";
  await assert.rejects(promise, (error: Error) => {
    assert.ok(error instanceof StartError, String(error));
    assert.doesNotMatch(error.message, /\n/);
    message = error.message;
    return true;
  });
  return message;
}

async function loadContent(content: string | Uint8Array): Promise<void> {
  await withFolder(async (folder) => {
    const path = `${folder}/test.key`;
    await Deno.writeFile(path, typeof content === "string" ? new TextEncoder().encode(content) : content, {
      mode: 0o600,
    });
    await loadKeys(path);
  });
}

Deno.test("creates a key file once, with 32 random bytes as base64url and mode 0600", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/wsward.key`;
    assert.equal(await createKeyFileIfMissing(path), true);
    const content = await Deno.readTextFile(path);
    assert.match(content, /^[A-Za-z0-9_-]{43}\n$/);
    assert.equal(Buffer.from(content.trim(), "base64url").length, 32);
    if (!IS_WINDOWS) assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);

    assert.equal(await createKeyFileIfMissing(path), false);
    assert.equal(await Deno.readTextFile(path), content);
    assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["wsward.key"]);

    await createKeyFileIfMissing(`${folder}/other.key`);
    assert.notEqual(await Deno.readTextFile(`${folder}/other.key`), content);
    assert.equal((await loadKeys(path)).signer?.alg, "HS256");
  });
});

Deno.test("leaves alone whatever is there already", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/wsward.key`;
    await Deno.writeTextFile(path, "");
    assert.equal(await createKeyFileIfMissing(path), false);
    assert.equal(await Deno.readTextFile(path), "");
    assert.equal(await createKeyFileIfMissing(folder), false);
  });
});

Deno.test("creates a key file although the draft of an earlier start was left behind", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/wsward.key`;
    await Deno.writeTextFile(draftPath(path), "left behind");
    assert.equal(await createKeyFileIfMissing(path), true);
    assert.equal((await loadKeys(path)).signer?.alg, "HS256");
    assert.equal(await Deno.readTextFile(draftPath(path)), "left behind");
    assert.equal([...Deno.readDirSync(folder)].length, 2);
  });
});

Deno.test("gives the same key to all who create and load it at once", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/wsward.key`;
    const starts = Array.from({ length: 20 }, async () => {
      const created = await createKeyFileIfMissing(path);
      return { created, keys: await loadKeys(path) };
    });
    const started = await Promise.all(starts);
    assert.equal(started.filter(({ created }) => created).length, 1);
    const token = await mintToken(started[0]!.keys.signer!, {
      user: "alice",
      expiresInMs: 60_000,
      claims: {},
    });
    for (const { keys } of started) assert.equal((await createVerifier(keys).verify(token)).ok, true);
    assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["wsward.key"]);
  });
});

Deno.test("gives the same key to processes that start at once, with no permission beyond their folder", async () => {
  await withFolder(async (folder) => {
    const module = new URL("../../src/auth/key_file.ts", import.meta.url).href;
    const program = `${folder}/start.ts`;
    await Deno.writeTextFile(
      program,
      `import { createKeyFileIfMissing, loadKeys } from ${JSON.stringify(module)};
       const created = await createKeyFileIfMissing("wsward.key");
       const { signer } = await loadKeys("wsward.key");
       const mark = await crypto.subtle.sign("HMAC", signer.signingKey, new Uint8Array(1));
       console.log(created + " " + new Uint8Array(mark).toHex());`,
    );
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const outputs = await Promise.all(
      Array.from({ length: 4 }, () =>
        new Deno.Command(Deno.execPath(), {
          args: ["run", "--no-prompt", `--config=${config}`, "--allow-read=.", "--allow-write=.", program],
          cwd: folder,
        }).output()),
    );
    const lines = outputs.map(({ stdout, stderr }) => {
      assert.equal(new TextDecoder().decode(stderr), "");
      return new TextDecoder().decode(stdout).trim().split(" ");
    });
    assert.equal(lines.filter(([created]) => created === "true").length, 1);
    assert.equal(new Set(lines.map(([_, mark]) => mark)).size, 1);
  });
});

Deno.test("says why a key file can't be created", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/missing/wsward.key`;
    const message = await startError(createKeyFileIfMissing(path));
    assert.equal(message, `Cannot create key file "${path}": its folder does not exist`);

    await Deno.writeTextFile(`${folder}/file`, "");
    assert.match(
      await startError(createKeyFileIfMissing(`${folder}/file/wsward.key`)),
      /^Cannot create key file /,
    );
  });
});

Deno.test("accepts 32 bytes and more as base64 or base64url, padded or not, with any usual line breaks", async () => {
  for (const size of [32, 33, 34, 64, 70]) {
    const secret = SECRET.subarray(0, size);
    const base64 = secret.toString("base64");
    const base64url = secret.toString("base64url");
    assert.match(base64, /[+/]/);
    for (const text of [base64, base64.replaceAll("=", ""), base64url]) {
      for (const end of ["", "\n", "\r\n"]) await loadContent(text + end);
    }
    await loadContent(base64.replace(/.{30}/g, "$&\n"));
  }
});

Deno.test("refuses 31 bytes and less, and says how many there are", async () => {
  for (const size of [1, 16, 31]) {
    const message = await startError(loadContent(SECRET.subarray(0, size).toString("base64url")));
    assert.match(message, new RegExp(`its secret has ${size} bytes, at least 32 are needed for HS256$`));
  }
});

Deno.test("refuses what is not a key, without printing any of it", async () => {
  const base64 = SECRET.subarray(0, 64).toString("base64");
  const contents: (string | Uint8Array)[] = [
    "",
    "\n",
    SECRET,
    new Uint8Array(64),
    `-----BEGIN PRIVATE KEY-----\n${base64}\n-----END PRIVATE KEY-----\n`,
    `{"kty":"oct","k":"${SECRET.toString("base64url")}",}`,
    `"${base64}"`,
    `key=${base64}`,
    `${base64.slice(0, 40)} ${base64.slice(40)}`,
    `\ufeff\ufeff${base64}`,
    "a passphrase of more than thirty-two characters",
    "+".repeat(30) + "-".repeat(30), // both alphabets at once
    "A".repeat(45), // no number of bytes has 45 characters
    "A".repeat(44) + "=", // wrong padding
    "A".repeat(42) + "B", // unused bits are set
    "A".repeat(43) + "=\n" + "A".repeat(44), // padding in the middle
    `${base64}\n\n#comment`,
  ];
  for (const content of contents) {
    const message = await startError(loadContent(content));
    assert.match(message, /^Cannot use key file ".*": it is not a key \([^)]+\)$/);
    assert.doesNotMatch(message, /AAAA|PRIVATE|passphrase/);
    assert.ok(!message.includes(base64.slice(0, 8)));
  }
});

Deno.test("creates a secret in the encoding that it will be read in", async () => {
  await withFolder(async (folder) => {
    for (const encoding of ["base64", "hex", "raw"] as const) {
      const path = `${folder}/${encoding}.key`;
      assert.ok(await createKeyFileIfMissing(path, encoding));
      const doubts: string[] = [];
      const { signer } = await loadKeys(path, { encoding, onDoubt: (doubt) => doubts.push(doubt) });
      assert.equal(signer?.alg, "HS256");
      // One random secret in 256 ends with the byte that is a line break too.
      assert.ok(doubts.length === 0 || encoding === "raw", String(doubts));
      assert.equal(Deno.statSync(path).size, { base64: 44, hex: 65, raw: 32 }[encoding]);
    }
  });
});

Deno.test("reads 64 KiB and nothing larger", async () => {
  const limit = MAX_KEY_FILE_SIZE_BYTES;
  await loadContent("A".repeat(limit - 4) + "\r\n\r\n");
  await loadContent("A".repeat(limit));
  assert.match(
    await startError(loadContent("A".repeat(limit + 1))),
    /: it is too large \(65537 bytes, at most 65536\)$/,
  );
});

Deno.test("says that a missing key file is created by the server", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/wsward.key`;
    assert.equal(
      await startError(loadKeys(path)),
      `Cannot use key file "${path}": it does not exist (the server creates it on its first start)`,
    );
  });
});

Deno.test("refuses a folder", async () => {
  await withFolder(async (folder) => {
    assert.equal(await startError(loadKeys(folder)), `Cannot use key file "${folder}": it is a folder`);
  });
});

Deno.test({
  name: "refuses a pipe without waiting for it",
  ignore: IS_WINDOWS,
  fn: async () => {
    await withFolder(async (folder) => {
      const path = `${folder}/pipe.key`;
      const { success } = await new Deno.Command("mkfifo", { args: ["-m", "600", path] }).output();
      assert.ok(success, "mkfifo works");
      assert.match(await startError(loadKeys(path)), /: it is not a regular file$/);
    });
  },
});

Deno.test({
  name: "refuses a file on which group or others have any permission, and names the remedy",
  ignore: IS_WINDOWS,
  fn: async () => {
    await withFolder(async (folder) => {
      const path = `${folder}/wsward.key`;
      await createKeyFileIfMissing(path);
      for (const mode of [0o600, 0o400, 0o700]) {
        await Deno.chmod(path, mode);
        await loadKeys(path);
      }
      for (const mode of [0o644, 0o640, 0o604]) {
        await Deno.chmod(path, mode);
        assert.equal(
          await startError(loadKeys(path)),
          `Cannot use key file "${path}": it can be read by others (mode 0${
            mode.toString(8)
          }); run: chmod 600 ${path}`,
        );
      }
      for (const mode of [0o601, 0o602, 0o610, 0o620]) {
        await Deno.chmod(path, mode);
        assert.match(
          await startError(loadKeys(path)),
          /: it is open to others \(mode 06\d\d\); run: chmod 600 /,
        );
      }
      const odd = `${folder}/it's mine.key`;
      await Deno.rename(path, odd);
      assert.ok((await startError(loadKeys(odd))).endsWith(`run: chmod 600 '${folder}/it'\\''s mine.key'`));
    });
  },
});

Deno.test("takes what stands for the group in the mode of a systemd credential for the ACL that it is", () => {
  const credential = "/run/credentials/wsward.service/wsward.key";
  for (const mode of [0o400, 0o440, 0o600]) assert.equal(isOpenMode(credential, mode), false);
  for (const mode of [0o404, 0o420, 0o450, 0o444]) assert.equal(isOpenMode(credential, mode), true);
  for (
    const elsewhere of ["/etc/wsward.key", "run/credentials/a/b", "/run/credentials/../../etc/wsward.key"]
  ) {
    assert.equal(isOpenMode(elsewhere, 0o440), true);
  }
});

Deno.test("does not show the secret of a loaded key", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/wsward.key`;
    await Deno.writeTextFile(path, "A".repeat(43), { mode: 0o600 });
    const key = (await loadKeys(path)).signer!;
    assert.doesNotMatch(
      Deno.inspect(key, { depth: 9, showHidden: true }) + JSON.stringify(key),
      /AAAA|0, 0, 0/,
    );
    await assert.rejects(crypto.subtle.exportKey("raw", key.signingKey!));
  });
});

Deno.test({
  name: "asks for a private mode of files that can sign, and not of public keys",
  ignore: IS_WINDOWS,
  fn: async () => {
    await withFolder(async (folder) => {
      const { privateKey, publicKey } = generateKeyPairSync("ed25519");
      const signing = [
        String(privateKey.export({ type: "pkcs8", format: "pem" })),
        JSON.stringify(privateKey.export({ format: "jwk" })),
        JSON.stringify({ keys: [publicKey.export({ format: "jwk" }), privateKey.export({ format: "jwk" })] }),
        JSON.stringify({ kty: "oct", k: SECRET.toString("base64url") }),
      ];
      const verifying = [
        String(publicKey.export({ type: "spki", format: "pem" })),
        JSON.stringify(publicKey.export({ format: "jwk" })),
        JSON.stringify({ keys: [publicKey.export({ format: "jwk" })] }),
      ];
      const path = `${folder}/test.key`;
      for (const text of [...signing, ...verifying]) {
        await Deno.writeTextFile(path, text);
        await Deno.chmod(path, 0o600);
        await loadKeys(path);
        await Deno.chmod(path, 0o644);
        if (verifying.includes(text)) assert.equal((await loadKeys(path)).signer, undefined);
        else assert.match(await startError(loadKeys(path)), /: it can be read by others \(mode 0644\)/);
      }
    });
  },
});
