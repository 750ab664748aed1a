// Decrypted bytes: read in pieces of any size, and released at once.
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { TLSSocket } from "node:tls";
import type { ByteSocket } from "../../src/firewall/byte_socket.ts";
import { TlsSocket } from "../../src/firewall/tls/tls_socket.ts";
import type { TlsStream } from "../../src/firewall/tls/tls_stream.ts";

/** A socket whose decrypted chunks are given by hand. */
function start(): { socket: TlsSocket; give: (chunk: Uint8Array) => void } {
  const tls = Object.assign(new EventEmitter(), { destroy() {} });
  const stream = Object.assign(new EventEmitter(), { want() {}, destroy() {} });
  const under = { close() {} } as ByteSocket;
  const socket = new TlsSocket(tls as unknown as TLSSocket, stream as unknown as TlsStream, under);
  return { socket, give: (chunk) => void tls.emit("data", chunk) };
}

Deno.test("a chunk that has been read is no memory any more, and not before", async () => {
  const { socket, give } = start();
  const chunks = [Uint8Array.of(1, 2, 3), Uint8Array.of(4)];
  for (const chunk of chunks) give(chunk);
  const bytes = new Uint8Array(2);
  assert.equal(await socket.read(bytes), 2);
  assert.deepEqual([...bytes], [1, 2]);
  assert.equal(chunks[0]!.buffer.byteLength, 3);
  assert.equal(await socket.read(bytes), 1);
  assert.equal(bytes[0], 3);
  assert.deepEqual(chunks.map(({ buffer }) => buffer.byteLength), [0, 1]);
  socket.close();
});

Deno.test("a chunk in the buffer of others is copied, and they stay", async () => {
  const { socket, give } = start();
  const shared = Uint8Array.of(1, 2, 3, 4);
  give(shared.subarray(0, 2));
  give(shared.subarray(2));
  const bytes = new Uint8Array(4);
  assert.equal(await socket.read(bytes), 2);
  assert.equal(await socket.read(bytes.subarray(2)), 2);
  assert.deepEqual([...bytes, ...shared], [1, 2, 3, 4, 1, 2, 3, 4]);
  socket.close();
});
