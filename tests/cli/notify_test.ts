// The program under a service manager: what it reports and when, and that it serves even if it can't report.

import assert from "node:assert/strict";
import { NotifyReceiver } from "../support/notify_receiver.ts";
import { EXECUTABLE, type Program, startServer } from "../support/process.ts";
import { OPCODE, RawClient } from "../support/raw_client.ts";

const IS_LINUX = Deno.build.os === "linux";

/** Starts the server with what a service manager gives it, and the permission to use it. */
function startManaged(address: string, env: Record<string, string> = {}): Program {
  return startServer([], {
    env: { NOTIFY_SOCKET: address, ...env },
    permissions: [
      "--allow-env=NOTIFY_SOCKET,WATCHDOG_USEC",
      `--allow-net=unix:$WSWARD_RUNTIME_DIR/notify.sock,unix:${address}`,
      `--allow-write=${address}`,
    ],
  });
}

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync();
  await use(folder);
  await Deno.remove(folder, { recursive: true });
}

Deno.test({
  name: "tells the service manager when it is ready, reloads, is alive and stops",
  ignore: !IS_LINUX,
  fn: () =>
    withFolder(async (folder) => {
      using manager = new NotifyReceiver(`${folder}/notify`);
      await using program = startManaged(manager.address, { WATCHDOG_USEC: "20000" });
      assert.deepEqual(await manager.nextState(), ["READY=1", "STATUS=Serving"]);
      using client = await RawClient.connect({ port: await program.port("secure") });
      for (let i = 0; i < 3; i++) assert.deepEqual(await manager.next(), ["WATCHDOG=1"]);

      program.signal("SIGHUP");
      assert.deepEqual(await manager.nextState(), ["RELOADING=1", "STATUS=Reloading"]);
      assert.deepEqual(await manager.nextState(), ["READY=1", "STATUS=Serving"]);

      program.signal("SIGTERM");
      assert.deepEqual(await manager.nextState(), ["STOPPING=1", "STATUS=Draining"]);
      // It is still alive while it waits for its clients.
      assert.deepEqual(await manager.next(), ["WATCHDOG=1"]);
      assert.equal((await client.nextFrame()).opcode, OPCODE.close);
      await client.sendClose(1001);
      assert.equal((await program.result()).code, 0);
      assert.doesNotMatch(program.stderr.text, /notify_failed/);
      assert.throws(() => Deno.statSync(program.runtimeDir), Deno.errors.NotFound);
    }),
});

Deno.test({
  name: "serves when the service manager can't be told, and says so once",
  ignore: !IS_LINUX,
  fn: () =>
    withFolder(async (folder) => {
      await using program = startManaged(`${folder}/nobody`, { WATCHDOG_USEC: "20000" });
      await program.logged(/WARNING server\.notify_failed .*No such file/);
      using client = await RawClient.connect({ port: await program.port("echo") });
      await client.sendText("hello");
      assert.equal(await client.nextText(), "Server received: hello");
      client.close();
      program.signal("SIGTERM");
      const { code, stderr } = await program.result();
      assert.deepEqual([code, stderr.match(/notify_failed/g)?.length], [0, 1]);
    }),
});

Deno.test({
  name: "asks nobody for the permission to read NOTIFY_SOCKET (source tree only)",
  ignore: !IS_LINUX || EXECUTABLE !== undefined,
  fn: () =>
    withFolder(async (folder) => {
      await using program = startServer([], { env: { NOTIFY_SOCKET: `${folder}/notify` } });
      await program.port("secure");
      program.signal("SIGTERM");
      const { code, stderr } = await program.result();
      assert.deepEqual([code, stderr.match(/WARNING|ERROR/g)], [0, null]);
    }),
});
