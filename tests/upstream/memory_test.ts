// What an upstream server can make the program hold: by flooding a client that does not read, and by never reading.

import assert from "node:assert/strict";
import { type ForeignSocket, Front, startForeign } from "./harness.ts";

const MIB = 2 ** 20;

Deno.test("a server that floods clients that do not read is not read either", async () => {
  const chunk = new Uint8Array(MIB);
  await using foreign = await startForeign({
    onConnection(socket: ForeignSocket) {
      for (let i = 0; i < 16; i++) socket.send(chunk, { binary: true });
    },
  });
  await using front = new Front([foreign.url], ["--max-sessions-per-user", "unlimited"]);
  using warm = await front.connect();
  await warm.nextFrame();
  const before = await front.program.usage();
  // Three hundred MiB and more that nobody wants.
  const clients = await Promise.all(Array.from({ length: 20 }, () => front.connect()));
  using good = await front.connect();
  for (let i = 0; i < 16; i++) await good.nextBinary();
  const { residentBytes } = await front.program.usage();
  const grown = (residentBytes - before.residentBytes) / MIB;
  assert.ok(grown < 64, `${grown} MiB more`);
  for (const client of clients) client.close();
});

Deno.test("the messages for a server that never reads stay with who sends them", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const sockets: Deno.TcpConn[] = [];
  const serving = (async () => {
    for await (const conn of listener) {
      sockets.push(conn);
      const bytes = new Uint8Array(4096);
      const size = await conn.read(bytes);
      const key = /^sec-websocket-key: (.*)$/im.exec(new TextDecoder().decode(bytes.subarray(0, size!)))![1]!;
      const digest = await crypto.subtle.digest(
        "SHA-1",
        new TextEncoder().encode(`${key.trim()}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`),
      );
      await conn.write(new TextEncoder().encode(
        "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
          `Sec-WebSocket-Accept: ${new Uint8Array(digest).toBase64()}\r\n\r\n`,
      ));
    }
  })();
  await using front = new Front([`ws://127.0.0.1:${listener.addr.port}`], [
    ...["--send-timeout", "1s", "--ping-interval", "off", "--byte-rate", "unlimited"],
  ]);
  using client = await front.connect();
  const before = await front.program.usage();
  const message = new Uint8Array(MIB - 1);
  let sent = 0;
  const sending = (async () => {
    try {
      for (; sent < 64; sent++) await client.sendBinary(message);
    } catch {
      // The connection ends while it is sent to.
    }
  })();
  assert.equal((await client.nextClose()).code, 1011, "a server that takes nothing is lost");
  client.close();
  await sending;
  const { peakBytes } = await front.program.usage();
  assert.ok(sent < 40, `${sent} MiB were taken`);
  assert.ok(peakBytes - before.residentBytes < 48 * MIB, `${(peakBytes - before.residentBytes) / MIB} MiB`);
  await front.program.logged(/upstream\.lost/);
  for (const socket of sockets) socket.close();
  listener.close();
  await serving;
});
