// What is reported to a service manager, read from a socket like its own.

import assert from "node:assert/strict";
import { ServiceManager } from "../../src/process/service_manager.ts";
import { NotifyReceiver } from "../support/notify_receiver.ts";

const IS_LINUX = Deno.build.os === "linux";

/** A receiver, and managers that speak to it. */
class Bench implements Disposable {
  readonly folder = Deno.makeTempDirSync();
  readonly ownPath = `${this.folder}/own.sock`;
  readonly receiver: NotifyReceiver;

  constructor(address = `${this.folder}/notify`) {
    this.receiver = new NotifyReceiver(address);
  }

  manager(address: string = this.receiver.address, ownPath: string = this.ownPath): ServiceManager {
    return new ServiceManager({ address, ownPath, onFailure: (reason) => assert.fail(reason) });
  }

  [Symbol.dispose](): void {
    this.receiver[Symbol.dispose]();
    Deno.removeSync(this.folder, { recursive: true });
  }
}

Deno.test({
  name: "sends each message whole and in the order of the calls",
  ignore: !IS_LINUX,
  fn: async () => {
    using bench = new Bench();
    const manager = bench.manager();
    manager.notify("READY=1", "STATUS=Serving");
    for (let i = 0; i < 100; i++) manager.notify(`STATUS=${i}`);
    assert.deepEqual(await bench.receiver.next(), ["READY=1", "STATUS=Serving"]);
    for (let i = 0; i < 100; i++) assert.deepEqual(await bench.receiver.next(), [`STATUS=${i}`]);
    manager.close();
    manager.notify("STATUS=after the end");
  },
});

Deno.test({
  name: "reaches a name in the abstract namespace",
  ignore: !IS_LINUX,
  fn: async () => {
    using bench = new Bench(`@wsward-${crypto.randomUUID()}`);
    const manager = bench.manager();
    manager.notify("READY=1");
    assert.deepEqual(await bench.receiver.next(), ["READY=1"]);
    manager.close();
  },
});

Deno.test({
  name: "replaces the socket that a killed process has left, and removes its own at the end",
  ignore: !IS_LINUX,
  fn: async () => {
    using bench = new Bench();
    new NotifyReceiver(bench.ownPath)[Symbol.dispose]();
    assert.ok(Deno.statSync(bench.ownPath));
    const manager = bench.manager();
    manager.notify("READY=1");
    assert.deepEqual(await bench.receiver.next(), ["READY=1"]);
    manager.close();
    assert.throws(() => Deno.statSync(bench.ownPath), Deno.errors.NotFound);
  },
});

Deno.test({
  name:
    "says once that nobody listens, that there is no place for its socket, or that the address is of another kind",
  ignore: !IS_LINUX,
  fn: async () => {
    using bench = new Bench();
    const { address } = bench.receiver;
    for (
      const [to, from] of [
        [`${bench.folder}/nobody`, bench.ownPath],
        [address, `${bench.folder}/missing/own.sock`],
        ["vsock:2:1234", bench.ownPath],
      ] as const
    ) {
      const reasons: string[] = [];
      const failed = Promise.withResolvers<void>();
      const manager = new ServiceManager({
        address: to,
        ownPath: from,
        onFailure: (reason) => failed.resolve(void reasons.push(reason)),
      });
      for (let i = 0; i < 3; i++) manager.notify("READY=1");
      await failed.promise;
      // Once this has arrived, the other messages have failed as well.
      const other = bench.manager(address, `${bench.folder}/other.sock`);
      for (let i = 0; i < 3; i++) other.notify("READY=1");
      for (let i = 0; i < 3; i++) await bench.receiver.next();
      other.close();
      manager.close();
      assert.equal(reasons.length, 1);
      assert.match(reasons[0]!, /No such file/);
    }
  },
});

Deno.test({
  name: "gives signs of life where they are asked for, and nowhere else",
  ignore: !IS_LINUX,
  fn: async () => {
    using bench = new Bench();
    const silent = bench.manager();
    for (const none of ["", "0", "-1", "1e3", "x", "2000 "]) silent.watch(none);
    // More than a timer can wait is as long as it can, not at once.
    silent.watch("18446744073709551615");

    using other = new Bench();
    const manager = other.manager();
    manager.watch("2000");
    for (let i = 0; i < 10; i++) assert.deepEqual(await other.receiver.next(), ["WATCHDOG=1"]);
    manager.close();

    silent.notify("STATUS=first");
    assert.deepEqual(await bench.receiver.next(), ["STATUS=first"]);
    silent.close();
  },
});
