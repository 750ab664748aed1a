// Files of trusted authorities: what is taken, and what is refused at the start.

import assert from "node:assert/strict";
import { readCaCerts } from "../../src/core/ca_file.ts";
import { StartError } from "../../src/core/errors.ts";

const FIXTURES = new URL("../fixtures/tls/", import.meta.url).pathname;

/** What the error says of a file with this text, behind the name of the file. */
async function refusal(text: string): Promise<string> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, text);
    readCaCerts("--some-ca", path);
    return "";
  } catch (error) {
    assert.ok(error instanceof StartError);
    const start = `Cannot use --some-ca "${path}": `;
    assert.ok(error.message.startsWith(start), error.message);
    return error.message.slice(start.length);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("authorities in PEM, one or more, with words between them, are taken as they are", async () => {
  const one = await Deno.readTextFile(`${FIXTURES}server.pem`);
  const other = await Deno.readTextFile(`${FIXTURES}client_ca.pem`);
  assert.deepEqual(readCaCerts("--some-ca", `${FIXTURES}server.pem`), [one]);
  assert.equal(await refusal(`${one}# the other one\n${other}`), "");
});

Deno.test("what is no certificate in PEM is refused before anybody connects", async () => {
  const pem = await Deno.readTextFile(`${FIXTURES}server.pem`);
  const key = await Deno.readTextFile(`${FIXTURES}server.key.pem`);
  const none = "there is no certificate in PEM in it";
  const broken = "a certificate in it can't be read";
  for (const text of ["", "hello", key, "\0".repeat(100)]) assert.equal(await refusal(text), none);
  const [begin, ...lines] = pem.trim().split("\n");
  const end = lines.pop();
  for (
    const text of [
      `${begin}\naGVsbG8=\n${end}\n`,
      `${begin}\n!!!!\n${end}\n`,
      `${begin}\n${lines.slice(0, -3).join("\n")}\n${end}\n`,
      `${begin}\n${lines.slice(0, -3).join("\n")}\n`,
      `${pem}${begin}\naGVsbG8=\n${end}\n`,
      `${begin}\n${end}\n`,
    ]
  ) {
    assert.equal(await refusal(text), broken, text);
  }
});

Deno.test("a file that is not there, a folder and a pipe are refused", async () => {
  assert.throws(() => readCaCerts("--some-ca", "/nowhere.pem"), /^StartError: .*: it does not exist$/);
  assert.throws(() => readCaCerts("--some-ca", FIXTURES), /: it is a folder$/);
  const folder = await Deno.makeTempDir();
  await new Deno.Command("mkfifo", { args: [`${folder}/pipe`] }).output();
  assert.throws(() => readCaCerts("--some-ca", `${folder}/pipe`), /: it is not a regular file$/);
  await Deno.remove(folder, { recursive: true });
});
