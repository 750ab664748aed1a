// What counts as a lost connection, and what does not: real errors of real sockets, and faults of our own.

import assert from "node:assert/strict";
import {
  closeQuietly,
  expectLoss,
  isConnectionLost,
  PrefixedSocket,
} from "../../src/firewall/byte_socket.ts";
import { linger } from "../../src/firewall/connection/linger.ts";

async function pair(): Promise<[Deno.TcpConn, Deno.TcpConn]> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return await Promise.all([Deno.connect({ port: listener.addr.port }), listener.accept()]);
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error("It did not fail");
}

Deno.test("a read that is closed here, and one after that, are a lost connection", async () => {
  const [one, other] = await pair();
  const pending = failureOf(one.read(new Uint8Array(1)));
  one.close();
  assert.ok(isConnectionLost(await pending));
  assert.ok(isConnectionLost(await failureOf(one.read(new Uint8Array(1)))));
  assert.ok(isConnectionLost(await failureOf(one.write(new Uint8Array(1)))));
  other.close();
});

Deno.test("a socket may be closed as often as somebody wants it closed", async () => {
  const [one, other] = await pair();
  for (const socket of [one, other, new PrefixedSocket(one, new Uint8Array(1))]) {
    closeQuietly(socket);
    closeQuietly(socket);
  }
});

Deno.test("a write to a peer that has reset is a lost connection", async () => {
  const [one, other] = await pair();
  await one.write(new Uint8Array(10));
  // It closes with bytes unread, so it resets.
  other.close();
  const failure = await failureOf((async () => {
    for (;;) await one.write(new Uint8Array(65_536));
  })());
  assert.ok(isConnectionLost(failure), String(failure));
  one.close();
});

Deno.test("errors of node's streams and of the system are told by their codes", () => {
  const withCode = (code: unknown) => Object.assign(new Error("x"), { code });
  for (const code of ["ECONNRESET", "EPIPE", "EHOSTUNREACH", "ERR_STREAM_DESTROYED", "ERR_SSL_BAD_RECORD"]) {
    assert.ok(isConnectionLost(withCode(code)), code);
  }
  for (const code of ["ENOENT", "EMFILE", "ERR_INVALID_ARG_TYPE", 1, undefined, {}]) {
    assert.ok(!isConnectionLost(withCode(code)), String(code));
  }
});

Deno.test("faults of our own are not a lost connection, and nothing that expects a loss hides them", async () => {
  for (
    const fault of [
      new TypeError("x"),
      new RangeError("x"),
      new Error("reset"),
      "ECONNRESET",
      undefined,
      null,
    ]
  ) {
    assert.ok(!isConnectionLost(fault));
    assert.throws(() => expectLoss(fault));
  }
  const broken = {
    read: () => Promise.reject(new TypeError("broken")),
    write: () => Promise.resolve(1),
    closeWrite: () => Promise.resolve(),
    close: () => {
      throw new TypeError("broken");
    },
  };
  assert.throws(() => closeQuietly(broken), TypeError);
  await assert.rejects(linger(broken), TypeError);
});
