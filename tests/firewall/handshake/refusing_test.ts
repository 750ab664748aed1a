// What a refused peer may still send, and for how long.

import assert from "node:assert/strict";
import { sendLast } from "../../../src/firewall/handshake/refusing.ts";

Deno.test("a refused peer that goes on sending is read for a quarter of a MiB, then slowly, and not reset before its time is over", async () => {
  let readBytes = 0;
  let isOver = false;
  const reads: number[] = [];
  await sendLast({
    read(bytes) {
      readBytes += bytes.length;
      if (readBytes === 2 ** 18) setTimeout(() => isOver = true);
      if (readBytes > 2 ** 18) reads.push(readBytes);
      return Promise.resolve(isOver || readBytes > 2 ** 24 ? null : bytes.length);
    },
    write: (bytes) => Promise.resolve(bytes.length),
    closeWrite: () => Promise.resolve(),
    close() {},
  }, new Uint8Array(1));
  assert.equal(reads.length, 1);
});
