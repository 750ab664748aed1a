// TLS on accepted connections: who gets through, what is refused, what is bounded, and that nothing is left behind.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { StartError } from "../../src/core/errors.ts";
import { type ByteSocket, closeQuietly, writeAll } from "../../src/firewall/byte_socket.ts";
import { TlsAcceptor, type TlsResult } from "../../src/firewall/tls_acceptor.ts";

const TIMEOUT_MS = 5000;

function pem(name: string): string {
  return Deno.readTextFileSync(new URL(`../fixtures/tls/${name}.pem`, import.meta.url));
}

const SERVER = { cert: pem("server"), key: pem("server.key") };
const RENEWED = { cert: pem("renewed"), key: pem("renewed.key") };
const CLIENT = { cert: pem("client"), key: pem("client.key") };
const STRANGER = { cert: pem("stranger"), key: pem("stranger.key") };
const WITH_CLIENT_CA = { ...SERVER, clientCa: pem("client_ca") };

/** A socket that counts what is read from it and can stop taking bytes. */
class MeteredSocket implements ByteSocket {
  bytesRead = 0;
  pendingReads = 0;
  isStalled = false;
  readonly #socket: ByteSocket;
  readonly #stall = Promise.withResolvers<number>();
  readonly #hasStalled = Promise.withResolvers<void>();

  constructor(socket: ByteSocket) {
    this.#socket = socket;
  }

  /** Resolves when the first write has been kept waiting. */
  get stalledWrite(): Promise<void> {
    return this.#hasStalled.promise;
  }

  async read(bytes: Uint8Array): Promise<number | null> {
    this.pendingReads++;
    try {
      const size = await this.#socket.read(bytes);
      this.bytesRead += size ?? 0;
      return size;
    } finally {
      this.pendingReads--;
    }
  }

  write(bytes: Uint8Array): Promise<number> {
    if (!this.isStalled) return this.#socket.write(bytes);
    this.#hasStalled.resolve();
    return this.#stall.promise;
  }

  closeWrite(): Promise<void> {
    return this.#socket.closeWrite();
  }

  close(): void {
    this.#socket.close();
    if (this.isStalled) this.#stall.reject(new Deno.errors.BadResource("closed"));
  }
}

/** A listener and an acceptor, and one raw or TLS client at a time. */
class Harness {
  readonly acceptor: TlsAcceptor;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });

  constructor(identity: ConstructorParameters<typeof TlsAcceptor>[0] = SERVER) {
    this.acceptor = new TlsAcceptor(identity);
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  /** Makes the server's side of the next connection's handshake. */
  async next(timeoutMs = TIMEOUT_MS): Promise<TlsResult> {
    return await this.acceptor.handshake(await this.#listener.accept(), timeoutMs);
  }

  async nextSocket(): Promise<ByteSocket> {
    const result = await this.next();
    if (!result.ok) throw new Error(`Cannot accept: ${result.reason}`);
    return result.socket;
  }

  /** Begins the handshake of the next connection. */
  async begin(): Promise<{ below: MeteredSocket; result: Promise<TlsResult> }> {
    const below = new MeteredSocket(await this.#listener.accept());
    return { below, result: this.acceptor.handshake(below, TIMEOUT_MS) };
  }

  async nextMetered(): Promise<{ below: MeteredSocket; socket: ByteSocket }> {
    const { below, result } = await this.begin();
    const ended = await result;
    if (!ended.ok) throw new Error(`Cannot accept: ${ended.reason}`);
    return { below, socket: ended.socket };
  }

  async raw(): Promise<Deno.TcpConn> {
    return await Deno.connect({ hostname: "127.0.0.1", port: this.port });
  }

  async tls(cert = SERVER.cert): Promise<Deno.TlsConn> {
    const conn = await Deno.connectTls({ hostname: "localhost", port: this.port, caCerts: [cert] });
    await conn.handshake();
    return conn;
  }

  /** A client and the server's socket. */
  async pair(cert = SERVER.cert): Promise<{ client: Deno.TlsConn; server: ByteSocket }> {
    const [client, server] = await Promise.all([this.tls(cert), this.nextSocket()]);
    return { client, server };
  }

  nodeTls(options: ConnectionOptions = {}): TLSSocket {
    const socket = connect({
      host: "127.0.0.1",
      port: this.port,
      servername: "localhost",
      ca: [SERVER.cert, RENEWED.cert],
      ...options,
    });
    // The server's side is what is asserted on.
    socket.on("error", () => {});
    return socket;
  }

  [Symbol.dispose](): void {
    this.#listener.close();
  }
}

async function readAll(socket: Pick<ByteSocket, "read">): Promise<string> {
  const bytes = new Uint8Array(1000);
  let text = "";
  for (let size; (size = await socket.read(bytes)) !== null;) {
    text += new TextDecoder().decode(bytes.subarray(0, size));
  }
  return text;
}

async function readSize(socket: Pick<ByteSocket, "read">, size: number): Promise<string> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const count = await socket.read(bytes.subarray(at));
    if (count === null) throw new Error(`Cannot read ${size} bytes: the stream ended after ${at}`);
    at += count;
  }
  return new TextDecoder().decode(bytes);
}

async function end(socket: TLSSocket): Promise<void> {
  if (socket.closed) return;
  const closed = once(socket, "close");
  socket.destroy();
  await closed;
}

const bytesOf = (text: string) => new TextEncoder().encode(text);
const refusalOf = (result: TlsResult) => result.ok ? "accepted" : result.reason;

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

Deno.test("closes on junk and says why", async () => {
  using harness = new Harness();
  for (const junk of ["GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "SSH-2.0-scan\r\n", "\0".repeat(64)]) {
    const client = await harness.raw();
    await client.write(bytesOf(junk));
    assert.notEqual(refusalOf(await harness.next()), "accepted");
    assert.equal(await client.read(new Uint8Array(100)).catch(() => null), null);
    client.close();
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

/** A whole ClientHello of a client that knows `version` at most (RFC 5246 §7.4.1.2), with one cipher suite. */
function clientHello(version: number): Uint8Array<ArrayBuffer> {
  // secp256r1, and ECDSA with SHA-256 on it.
  const extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3];
  const random = new Array(32).fill(7);
  const body = [
    version >> 8,
    version & 255,
    ...random,
    0,
    0,
    2,
    0xc0,
    0x2b,
    1,
    0,
    0,
    extensions.length,
    ...extensions,
  ];
  const message = [1, 0, 0, body.length, ...body];
  return Uint8Array.of(22, 3, 1, 0, message.length, ...message);
}
