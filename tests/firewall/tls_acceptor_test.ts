// TLS on accepted connections: who gets through, what is refused, what is limited, and that nothing is left behind.

import assert from "node:assert/strict";
import { once } from "node:events";
import { StartError } from "../../src/core/errors.ts";
import { type ByteSocket, closeQuietly, writeAll } from "../../src/firewall/byte_socket.ts";
import { checkIdentity, readCertificates } from "../../src/firewall/tls/tls_identity.ts";
import { TlsAcceptor } from "../../src/firewall/tls/tls_acceptor.ts";
import {
  bytesOf,
  CLIENT,
  clientHello,
  end,
  Harness,
  readAll,
  readSize,
  refusalOf,
  RENEWED,
  SERVER,
  STRANGER,
  TIMEOUT_MS,
  WITH_CLIENT_CA,
} from "../support/tls_harness.ts";

Deno.test("carries bytes both ways, also in reads smaller than a record", async () => {
  using harness = new Harness();
  const { client, server } = await harness.pair();
  await client.write(bytesOf("hello there"));
  assert.equal(await readSize(server, 5), "hello");
  assert.equal(await readSize(server, 6), " there");
  await writeAll(server, bytesOf("and back"));
  assert.equal(await readSize(client, 8), "and back");
  server.close();
  client.close();
});

Deno.test("carries a large payload unchanged in both directions at once", async () => {
  using harness = new Harness();
  const { client, server } = await harness.pair();
  const payload = "0123456789abcdef".repeat(65536);
  const [, , there, back] = await Promise.all([
    writeAll(server, bytesOf(payload)),
    (async () => {
      const bytes = bytesOf(payload);
      for (let at = 0; at < bytes.length;) at += await client.write(bytes.subarray(at));
    })(),
    readSize(server, payload.length),
    readSize(client, payload.length),
  ]);
  assert.ok(there === payload && back === payload);
  server.close();
  client.close();
});

Deno.test("a buffer may be used again as soon as its write is over", async () => {
  using harness = new Harness();
  const { client, server } = await harness.pair();
  const bytes = new Uint8Array(100);
  const received = readSize(client, 1000);
  for (let digit = 0; digit < 10; digit++) await writeAll(server, bytes.fill(48 + digit));
  assert.equal(await received, Array.from({ length: 10 }, (_, digit) => `${digit}`.repeat(100)).join(""));
  server.close();
  client.close();
});

Deno.test("reads null at the peer's end and can still write", async () => {
  using harness = new Harness();
  const { client, server } = await harness.pair();
  await client.write(bytesOf("last words"));
  await client.closeWrite();
  assert.equal(await readAll(server), "last words");
  assert.equal(await server.read(new Uint8Array(1)), null);
  await writeAll(server, bytesOf("answer"));
  await server.closeWrite();
  assert.equal(await readAll(client), "answer");
  server.close();
  client.close();
});

Deno.test("ends its writing side and reads on", async () => {
  using harness = new Harness();
  const { client, server } = await harness.pair();
  await writeAll(server, bytesOf("bye"));
  await server.closeWrite();
  assert.equal(await readAll(client), "bye");
  await client.write(bytesOf("bye too"));
  await client.closeWrite();
  assert.equal(await readAll(server), "bye too");
  server.close();
  client.close();
});

Deno.test("close rejects the read that is pending, and everything after it", async () => {
  using harness = new Harness();
  const { client, server } = await harness.pair();
  const read = server.read(new Uint8Array(1));
  server.close();
  await assert.rejects(read, Deno.errors.BadResource);
  await assert.rejects(server.read(new Uint8Array(1)), Deno.errors.BadResource);
  await assert.rejects(server.write(new Uint8Array(1)), Deno.errors.BadResource);
  await assert.rejects(server.closeWrite(), Deno.errors.BadResource);
  server.close();
  client.close();
});

Deno.test("what was decrypted and not read is gone after close", async () => {
  using harness = new Harness();
  const { client, server } = await harness.pair();
  await client.write(bytesOf("hello"));
  assert.equal(await readSize(server, 1), "h");
  server.close();
  await assert.rejects(server.read(new Uint8Array(1)), Deno.errors.BadResource);
  client.close();
});

Deno.test("a peer that is cut in the middle of a stream ends it", async () => {
  using harness = new Harness();
  const client = harness.nodeTls();
  const server = await harness.nextSocket();
  const outcome = server.read(new Uint8Array(1)).then((size) => size, () => "rejected");
  client.resetAndDestroy();
  assert.equal((await outcome) ?? "rejected", "rejected");
  server.close();
  await end(client);
});

Deno.test("takes from a flood only what is asked for", async () => {
  using harness = new Harness();
  const [client, metered] = await Promise.all([harness.tls(), harness.nextMetered()]);
  const { below, socket } = metered;
  const flood = (async () => {
    const chunk = new Uint8Array(65536);
    for (;;) await client.write(chunk);
  })().catch(() => {});
  assert.equal(below.pendingReads, 0);
  for (let count = 0; count < 20; count++) {
    const before = below.bytesRead;
    await socket.read(new Uint8Array(1));
    assert.equal(below.pendingReads, 0);
    // A record of 16 KiB, in at most two pieces of which the second may hold one more.
    assert.ok(below.bytesRead - before <= 2 * 17 * 1024, `took ${below.bytesRead - before} bytes`);
  }
  assert.ok(below.bytesRead < 100_000);
  socket.close();
  await flood;
  client.close();
});

Deno.test("a write waits until the socket underneath has taken it, and closing rejects it", async () => {
  using harness = new Harness();
  const [client, { below, socket }] = await Promise.all([harness.tls(), harness.nextMetered()]);
  below.isStalled = true;
  let isSettled = false;
  const write = socket.write(new Uint8Array(10)).finally(() => isSettled = true);
  await below.stalledWrite;
  assert.equal(isSettled, false);
  socket.close();
  await assert.rejects(write, Deno.errors.BadResource);
  client.close();
});

Deno.test("serves TLS 1.2 and 1.3", async () => {
  using harness = new Harness();
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    const client = harness.nodeTls({ minVersion: version, maxVersion: version });
    const secure = once(client, "secureConnect");
    const server = await harness.nextSocket();
    await secure;
    assert.equal(client.getProtocol(), version);
    server.close();
    await end(client);
  }
});

Deno.test("refuses a client that knows TLS 1.1 at most, where the same hello for TLS 1.2 is answered", async () => {
  using harness = new Harness();
  const old = await harness.raw();
  await old.write(clientHello(0x0302));
  assert.notEqual(refusalOf(await harness.next()), "accepted");
  old.close();
  const client = await harness.raw();
  await client.write(clientHello(0x0303));
  const result = harness.next();
  const answer = new Uint8Array(6);
  await client.read(answer);
  assert.deepEqual([answer[0], answer[5]], [22, 2], "a handshake record with a ServerHello");
  client.close();
  await result;
});

Deno.test("closes on what is no TLS, and says why", async () => {
  using harness = new Harness();
  for (const junk of ["SSH-2.0-scan\r\n", "\0".repeat(64), "GET", "get / HTTP/1.1\r\n", "GETTOGETHER"]) {
    const client = await harness.raw();
    const result = harness.next();
    await client.write(bytesOf(junk));
    await client.closeWrite();
    assert.notEqual(refusalOf(await result), "accepted");
    assert.equal(await client.read(new Uint8Array(100)).catch(() => null), null);
    client.close();
  }
});

Deno.test("tells plain HTTP in plain HTTP what the port speaks", async () => {
  using harness = new Harness();
  for (const method of ["GET", "POST", "OPTIONS"]) {
    const client = await harness.raw();
    const result = harness.next();
    await client.write(bytesOf(`${method} / HTTP/1.1\r\nHost: localhost\r\n\r\n`));
    assert.match(await readAll(client), /^HTTP\/1\.1 400 .*\r\n\r\nthis port speaks TLS: use wss:.*\n$/s);
    client.close();
    assert.match(refusalOf(await result), /plain HTTP/);
  }
});

Deno.test("frees a silent client, and half a hello, when the handshake is late", async () => {
  using harness = new Harness();
  for (const start of [new Uint8Array(0), clientHello(0x0303).subarray(0, 20)]) {
    const client = await harness.raw();
    await client.write(start);
    assert.equal(refusalOf(await harness.next(50)), "the TLS handshake did not come in time");
    assert.equal(await client.read(new Uint8Array(1)).catch(() => null), null);
    client.close();
  }
});

Deno.test("notices at once that a client ended before or in its handshake", async () => {
  using harness = new Harness();
  for (const start of [new Uint8Array(0), clientHello(0x0303).subarray(0, 20)]) {
    const client = await harness.raw();
    await client.write(start);
    client.close();
    assert.equal(refusalOf(await harness.next()), "the peer ended before the TLS handshake was complete");
  }
});

Deno.test("closing the socket underneath ends a handshake", async () => {
  using harness = new Harness();
  const client = await harness.raw();
  const { below, result } = await harness.begin();
  closeQuietly(below);
  assert.notEqual(refusalOf(await result), "accepted");
  client.close();
});

for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
  Deno.test(`with a client CA, lets in only certificates that it has signed, in ${maxVersion}`, async () => {
    using harness = new Harness(WITH_CLIENT_CA);
    for (const [identity, isWelcome] of [[CLIENT, true], [STRANGER, false], [{}, false]] as const) {
      const client = harness.nodeTls({ ...identity, maxVersion });
      const result = await harness.next();
      assert.equal(result.ok, isWelcome, refusalOf(result));
      if (result.ok) result.socket.close();
      await end(client);
    }
  });
}

Deno.test("a reload changes the certificate of new connections and leaves open ones alone", async () => {
  using harness = new Harness();
  const old = await harness.pair(SERVER.cert);
  harness.acceptor.reload(RENEWED);
  const renewed = await harness.pair(RENEWED.cert);
  const client = harness.nodeTls();
  const secure = once(client, "secureConnect");
  const server = await harness.nextSocket();
  await secure;
  assert.equal(client.getPeerCertificate().subject.CN, "wsward renewed");
  await writeAll(old.server, bytesOf("still here"));
  assert.equal(await readSize(old.client, 10), "still here");
  for (const socket of [old.server, renewed.server, server]) socket.close();
  old.client.close();
  renewed.client.close();
  await end(client);
});

Deno.test("a reload can begin to demand client certificates", async () => {
  using harness = new Harness();
  harness.acceptor.reload(WITH_CLIENT_CA);
  const client = harness.nodeTls();
  assert.equal((await harness.next()).ok, false);
  await end(client);
});

const BROKEN = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
for (
  const [what, identity] of Object.entries({
    "a key of another certificate": { cert: SERVER.cert, key: RENEWED.key },
    "no certificate": { ...SERVER, cert: "" },
    "a broken certificate": { ...SERVER, cert: BROKEN },
    "a broken intermediate": { ...SERVER, cert: SERVER.cert + BROKEN },
    "a key that is none": { ...SERVER, key: SERVER.cert },
    "a client CA that is none": { ...SERVER, clientCa: SERVER.key },
    "an empty client CA": { ...SERVER, clientCa: "" },
  })
) {
  Deno.test(`refuses ${what}, and keeps the old certificate`, async () => {
    assert.throws(() => new TlsAcceptor(identity), StartError);
    using harness = new Harness();
    assert.throws(() => harness.acceptor.reload(identity), (error) => {
      assert.ok(error instanceof StartError);
      assert.ok(!error.message.includes("-----"));
      return true;
    });
    const { client, server } = await harness.pair(SERVER.cert);
    server.close();
    client.close();
  });
}

Deno.test({
  name: "leaves no descriptor behind, however connections end",
  ignore: Deno.build.os !== "linux",
  async fn() {
    using harness = new Harness();
    await visit(harness, 3);
    const before = await countDescriptors();
    for (let count = 0; count < 100; count++) await visit(harness, count);
    // The runtime lets go of a TLS client, which is in this process too, some time after its close.
    const deadlineMs = performance.now() + TIMEOUT_MS;
    let left: number;
    do left = await countDescriptors() - before; while (left > 0 && performance.now() < deadlineMs);
    assert.ok(left <= 0, `${left} descriptors are left`);
  },
});

async function countDescriptors(): Promise<number> {
  const { stdout } = await new Deno.Command("ls", { args: [`/proc/${Deno.pid}/fd`] }).output();
  return new TextDecoder().decode(stdout).trim().split("\n").length;
}

/** One connection that ends in one of several ways. */
async function visit(harness: Harness, count: number): Promise<void> {
  if (count % 4 < 2) {
    const { client, server } = await harness.pair();
    if (count % 4 === 0) await client.closeWrite();
    client.close();
    if (count % 4 === 0) assert.equal(await server.read(new Uint8Array(1)), null);
    server.close();
    return;
  }
  const client = await harness.raw();
  if (count % 4 === 2) await client.write(clientHello(0x0303).subarray(0, count % 60));
  else await client.write(bytesOf("GET / HTTP/1.1\r\n\r\n"));
  client.close();
  assert.equal((await harness.next()).ok, false);
}

Deno.test("warns of a certificate that is not valid now, with the date, and uses it", () => {
  const [{ validFrom, validTo }] = readCertificates("certificate", SERVER.cert);
  const [beginMs, endMs] = [Date.parse(validFrom), Date.parse(validTo)];
  const iso = (ms: number) => new Date(ms).toISOString().slice(0, 19);
  for (const nowMs of [beginMs, endMs]) assert.equal(checkIdentity(SERVER, nowMs), undefined);
  assert.equal(checkIdentity(SERVER, beginMs - 1), `it begins at ${iso(beginMs)}Z`);
  assert.equal(checkIdentity(SERVER, endMs + 1), `it ended at ${iso(endMs)}Z`);
});

/** A peer that has sent a ClientHello and waits; says how often it was written to. */
function helloSocket(): ByteSocket & { writes: number } {
  const closed = Promise.withResolvers<null>();
  let hello: Uint8Array | undefined = clientHello(0x0303);
  return {
    writes: 0,
    read(bytes) {
      if (hello === undefined) return closed.promise;
      const part = hello.subarray(0, bytes.length);
      bytes.set(part);
      hello = part.length < hello.length ? hello.subarray(part.length) : undefined;
      return Promise.resolve(part.length);
    },
    write(bytes) {
      this.writes++;
      return Promise.resolve(bytes.length);
    },
    closeWrite: () => Promise.resolve(),
    close: () => closed.resolve(null),
  };
}

Deno.test("who closes a socket ends its wait for a turn, and nothing is computed for it", async () => {
  const acceptor = new TlsAcceptor(SERVER);
  const [first, second] = [helloSocket(), helloSocket()];
  const done = acceptor.handshake(first, TIMEOUT_MS);
  let giveUp = () => {};
  const waiting = acceptor.handshake(second, TIMEOUT_MS, (end) => giveUp = end);
  // Both hellos are read within this turn of the event loop, and one of them is answered.
  for (let i = 0; i < 100; i++) await undefined;
  closeQuietly(second);
  giveUp();
  const result = await waiting;
  assert.deepEqual([result.ok, "isLost" in result, second.writes], [false, true, 0]);
  // The next has its turn.
  const third = helloSocket();
  const last = acceptor.handshake(third, TIMEOUT_MS);
  while (third.writes === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  assert.ok(first.writes > 0);
  for (const socket of [first, third]) closeQuietly(socket);
  assert.deepEqual([(await done).ok, (await last).ok], [false, false]);
});
