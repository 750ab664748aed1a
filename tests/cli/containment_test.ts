// What the whole program must withstand: a folder for its sockets that is open to others, and a fault not caught.
import assert from "node:assert/strict";
import { RawClient } from "../support/raw_client.ts";
import { EXECUTABLE, startPermissions, startServer } from "../support/process.ts";

Deno.test("a runtime folder that others can enter, or that is a link, is refused", async () => {
  const folder = Deno.makeTempDirSync();
  Deno.mkdirSync(`${folder}/own`, { mode: 0o700 });
  Deno.symlinkSync(`${folder}/own`, `${folder}/link`);
  for (const [name, mode] of [["group", 0o750], ["all", 0o755], ["enter", 0o701]] as const) {
    Deno.mkdirSync(`${folder}/${name}`);
    Deno.chmodSync(`${folder}/${name}`, mode);
  }
  for (const name of ["group", "all", "enter", "link"]) {
    const runtimeDir = `${folder}/${name}`;
    const options = { folder, env: { WSWARD_RUNTIME_DIR: runtimeDir } };
    await using program = startServer([], { ...options, onlyPermissions: startPermissions(runtimeDir) });
    const { code, stdout, stderr } = await program.result();
    assert.deepEqual([code, stdout], [1, ""], name);
    assert.match(stderr, /Cannot use the runtime folder/, name);
  }
  Deno.removeSync(folder, { recursive: true });
});

Deno.test(
  "a promise that nobody caught, and an error that nobody did, are records, and all goes on (source tree only)",
  {
    ignore: EXECUTABLE !== undefined,
  },
  async () => {
    const folder = Deno.makeTempDirSync();
    Deno.writeTextFileSync(
      `${folder}/faults.ts`,
      `Deno.addSignalListener("SIGUSR2", () => {
      Promise.reject(new Error("planted rejection"));
      setTimeout(() => { throw new Error("planted error"); }, 0);
    });`,
    );
    await using program = startServer(["--no-secure"], {
      folder,
      onlyPermissions: ["-A", "--preload", `${folder}/faults.ts`],
    });
    using client = await RawClient.connect({ port: await program.port("echo") });
    program.signal("SIGUSR2");
    await program.logged(/planted rejection/);
    await program.logged(/planted error/);
    assert.equal(program.stderr.text.match(/process\.unhandled/g)?.length, 2);
    await client.sendText("still here");
    assert.equal(await client.nextText(), "Server received: still here");
    client.close();
    program.signal("SIGTERM");
    assert.equal((await program.result()).code, 0);
    assert.match(program.read("websocket_errors.log"), /planted rejection/);
    Deno.removeSync(folder, { recursive: true });
  },
);
