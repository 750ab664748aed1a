// The program in front of a server, with the permissions that are printed for that server, and without.

import assert from "node:assert/strict";
import { EXECUTABLE, run } from "../support/process.ts";
import { Front, startForeign } from "./harness.ts";

const FIXTURES = new URL("../fixtures/tls/", import.meta.url).pathname;
const read = (name: string) => Deno.readTextFileSync(FIXTURES + name);

/** What `--print-permissions` says to this command line; nothing in it needs quotes. */
async function printed(args: readonly string[], folder: string): Promise<readonly string[]> {
  const onlyPermissions = ["--no-prompt", "--allow-env=WSWARD_*"];
  const { code, stdout, stderr } = await run(["serve", ...args, "--print-permissions"], {
    folder,
    onlyPermissions,
  });
  assert.equal(code, 0, stderr);
  return stdout.trim().split(" ");
}

Deno.test(
  "the printed permissions are enough, for TLS with a certificate and for a Unix socket (source tree only)",
  {
    ignore: EXECUTABLE !== undefined,
  },
  async () => {
    const folder = Deno.makeTempDirSync();
    for (const name of ["server.pem", "client.pem", "client.key.pem"]) {
      Deno.copyFileSync(FIXTURES + name, `${folder}/${name}`);
    }
    await using overTls = await startForeign({
      tls: {
        cert: read("server.pem"),
        key: read("server.key.pem"),
        ca: read("client_ca.pem"),
        requestCert: true,
        rejectUnauthorized: true,
      },
    });
    await using overSocket = await startForeign({ listen: `${folder}/ws.sock` });
    const tls = [
      ...["--upstream-ca", `${folder}/server.pem`, "--upstream-cert", `${folder}/client.pem`],
      ...["--upstream-key", `${folder}/client.key.pem`],
    ];
    for (const [foreign, more] of [[overTls, tls], [overSocket, []]] as const) {
      const args = ["--secure-port", "0", "--runtime-dir", "run", ...more];
      const onlyPermissions = await printed([...args, "--upstream", foreign.url], folder);
      await using front = new Front([foreign.url], args.slice(2), { onlyPermissions });
      using client = await front.connect();
      await client.sendText("hello");
      assert.equal(await client.nextText(), "hello");
      if (foreign === overTls) {
        front.program.signal("SIGHUP");
        await front.program.logged(/upstream\.reloaded/);
      }
      client.close();
      front.program.signal("SIGTERM");
      const { code, stderr } = await front.program.result();
      assert.equal(code, 0, stderr);
      assert.doesNotMatch(stderr, /NotCapable|Requires/);
    }
    await Deno.remove(folder, { recursive: true });
  },
);

Deno.test("a start that may not dial its upstream says what to run (source tree only)", {
  ignore: EXECUTABLE !== undefined,
}, async () => {
  const folder = Deno.makeTempDirSync();
  const onlyPermissions = await printed(
    ["--secure-port", "0", "--runtime-dir", "run", "--upstream", "ws://127.0.0.1:1"],
    folder,
  );
  await using front = new Front(["ws://127.0.0.1:2"], ["--runtime-dir", "run"], { onlyPermissions });
  const { code, stderr } = await front.program.result();
  assert.equal(code, 1);
  assert.match(stderr, /^Cannot use the upstream "ws:\/\/127\.0\.0\.1:2": .*--print-permissions/m);
  await Deno.remove(folder, { recursive: true });
});
