// What a refused peer may still do.
import assert from "node:assert/strict";
import { sendLast } from "../../../src/firewall/handshake/refusing.ts";

Deno.test("a refused peer that goes on sending is read for a quarter of a MiB, and not for as long as it may take to read why", async () => {
  let readBytes = 0;
  await sendLast({
    read: (bytes) => Promise.resolve((readBytes += bytes.length) > 2 ** 24 ? null : bytes.length),
    write: (bytes) => Promise.resolve(bytes.length),
    closeWrite: () => Promise.resolve(),
    close() {},
  }, new Uint8Array(1));
  assert.equal(readBytes, 2 ** 18);
});
