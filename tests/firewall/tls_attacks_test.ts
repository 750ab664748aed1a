// What hostile and mistaken clients send instead of a TLS handshake, what they are told, and what others notice.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { TLSSocket } from "node:tls";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type ByteSocket, isConnectionLost } from "../../src/firewall/byte_socket.ts";
import { TlsAcceptor } from "../../src/firewall/tls/tls_acceptor.ts";
import {
  bytesOf,
  clientHello,
  end,
  Harness,
  refusalOf,
  SERVER,
  STRANGER,
  TIMEOUT_MS,
  WITH_CLIENT_CA,
} from "../support/tls_harness.ts";

/** All that comes to the end, or to a reset. */
async function readBytes(client: Pick<ByteSocket, "read">): Promise<number[]> {
  const all: number[] = [];
  const bytes = new Uint8Array(4096);
  for (;;) {
    const size = await client.read(bytes).catch(() => null);
    if (size === null) return all;
    all.push(...bytes.subarray(0, size));
  }
}

const record = (...payload: number[]) =>
  Uint8Array.of(22, 3, 1, payload.length >> 8, payload.length & 255, ...payload);

Deno.test("a client that can't have a connection gets the alert that says why", async () => {
  using harness = new Harness();
  const cases: [string, Uint8Array<ArrayBuffer>, number][] = [
    ["protocol_version", clientHello(0x0302), 70],
    ["protocol_version", Uint8Array.of(22, 2, 0, 0, 1, 1), 70],
    ["handshake_failure", clientHello(0x0303, { suite: 0x0005 }), 40],
    ["record_overflow", Uint8Array.of(22, 3, 1, 255, 255), 22],
    ["unexpected_message", Uint8Array.of(21, 3, 3, 0, 2, 2, 40), 10],
    ["unexpected_message", record(2, 0, 0, 0), 10],
    ["decode_error", record(1, 255, 255, 255), 50],
    ["decode_error", record(1, 0, 0, 4, 3, 3, 1, 2), 50],
    ["unexpected_message", Uint8Array.of(...clientHello(0x0303), 23, 3, 3, 0, 1, 0), 10],
  ];
  for (const [name, bytes, alert] of cases) {
    const client = await harness.raw();
    const result = harness.next();
    await client.write(bytes);
    await client.closeWrite();
    const answer = await readBytes(client);
    assert.deepEqual(answer.slice(-7), [21, 3, 3, 0, 2, 2, alert], name);
    assert.match(refusalOf(await result), new RegExp(`^the TLS handshake failed: ${name}`));
    client.close();
  }
});

for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
  Deno.test(`a client without a certificate gets the alert for it, in ${maxVersion}`, async () => {
    using harness = new Harness(WITH_CLIENT_CA);
    const client = harness.nodeTls({ maxVersion });
    const failed = once(client, "error");
    assert.match(refusalOf(await harness.next()), /failed: certificate_required/);
    assert.match(String(await failed), /CertificateRequired/);
    await end(client);
  });

  Deno.test(`a client with a wrong certificate is told in words, in ${maxVersion}`, async () => {
    using harness = new Harness(WITH_CLIENT_CA);
    const client = harness.nodeTls({ ...STRANGER, maxVersion });
    const result = harness.next();
    const [data] = await once(client, "data");
    assert.match(
      String(data),
      /^HTTP\/1\.1 403 .*\n\r\nthe client certificate was not accepted: [A-Z_]+\n$/s,
    );
    client.end();
    assert.match(refusalOf(await result), /client certificate was not accepted: [A-Z_]+$/);
    await end(client);
  });
}

Deno.test("http/1.1 is selected, and a client of h2 alone is told", async () => {
  using harness = new Harness();
  for (
    const [offered, selected] of [[["h2", "http/1.1"], "http/1.1"], [["http/1.1"], "http/1.1"], [
      [],
      false,
    ]] as const
  ) {
    const client = harness.nodeTls(offered.length === 0 ? {} : { ALPNProtocols: [...offered] });
    const ready = once(client, "secureConnect");
    const socket = await harness.nextSocket();
    await ready;
    assert.equal(client.alpnProtocol, selected);
    socket.close();
    await end(client);
  }
  const client = harness.nodeTls({ ALPNProtocols: ["h2"] });
  const failed = once(client, "error");
  assert.match(refusalOf(await harness.next()), /failed: no_application_protocol/);
  assert.match(String(await failed), /NoApplicationProtocol/);
  await end(client);
});

Deno.test("any server name gets the certificate: the request's Host is what counts", async () => {
  using harness = new Harness();
  for (const servername of ["other.example.com", "localhost", "a".repeat(63) + ".example"]) {
    const client = harness.nodeTls({ servername, rejectUnauthorized: false });
    const socket = await harness.nextSocket();
    socket.close();
    await end(client);
  }
});

Deno.test("a hello in many records is answered", async () => {
  using harness = new Harness();
  for (const fragmentSize of [1, 7, 50]) {
    const client = await harness.raw();
    const result = harness.next();
    await client.write(clientHello(0x0303, { fragmentSize }));
    const answer = new Uint8Array(6);
    await client.read(answer);
    assert.deepEqual([answer[0], answer[5]], [22, 2], "a ServerHello");
    client.close();
    assert.notEqual(refusalOf(await result), "accepted");
  }
});

Deno.test("a handshake that is given up ends at the deadline, wherever it stands, and so does one that waits", async () => {
  using harness = new Harness();
  const hello = clientHello(0x0303);
  const starts = [hello.subarray(0, 1), hello.subarray(0, 5), hello.subarray(0, -1), hello, hello, hello];
  const clients = await Promise.all(starts.map(() => harness.raw()));
  const results = clients.map(() => harness.next(100));
  await Promise.all(clients.map((client, at) => client.write(starts[at]!)));
  for (const result of results) {
    assert.equal(refusalOf(await result), "the TLS handshake did not come in time");
  }
  for (const client of clients) {
    await readBytes(client);
    client.close();
  }
});

/** A peer that has sent `bytes` and waits. */
class WaitingPeer implements ByteSocket {
  isClosed = false;
  /** How often something was written when it was closed already. */
  lateWrites = 0;
  readonly #written = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<number | null>();
  #bytes: Uint8Array | undefined;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Resolves when something is written. */
  get answered(): Promise<void> {
    return this.#written.promise;
  }

  read(room: Uint8Array): Promise<number | null> {
    const bytes = this.#bytes;
    if (bytes === undefined) return this.#closed.promise;
    this.#bytes = undefined;
    room.set(bytes);
    return Promise.resolve(bytes.length);
  }

  write(bytes: Uint8Array): Promise<number> {
    if (this.isClosed) this.lateWrites++;
    this.#written.resolve();
    return Promise.resolve(bytes.length);
  }

  closeWrite(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.isClosed = true;
    this.#closed.resolve(null);
  }
}

Deno.test("who is late while waiting for a turn is not worked on", async () => {
  const acceptor = new TlsAcceptor(SERVER);
  const hello = clientHello(0x0303);
  const peers = Array.from({ length: 12 }, () => new WaitingPeer(hello));
  const [first, ...others] = peers;
  // While this one is worked on, all the others become late.
  const results = [acceptor.handshake(first!, TIMEOUT_MS)];
  for (const other of others) results.push(acceptor.handshake(other, 0));
  const last = new WaitingPeer(hello);
  results.push(acceptor.handshake(last, TIMEOUT_MS));
  await Promise.all([first!.answered, last.answered]);
  first!.close();
  last.close();
  await Promise.all(results);
  assert.deepEqual(
    others.map(({ isClosed, lateWrites }) => isClosed ? lateWrites : "open"),
    others.map(() => 0),
  );
});

Deno.test("who doesn't take the alert is cut a second later", async () => {
  using harness = new Harness();
  const client = await harness.raw();
  const result = harness.next();
  await client.write(clientHello(0x0302));
  // Neither ends nor reads.
  assert.match(refusalOf(await result), /protocol_version/);
  client.close();
});

Deno.test("after the handshake, what is no record of TLS ends the connection and reaches nobody", async () => {
  using harness = new Harness();
  for (
    const junk of [
      record(1, 0, 0, 0),
      Uint8Array.of(23, 3, 3, 255, 255),
      new Uint8Array(40),
      bytesOf("GET / "),
    ]
  ) {
    const below = connect({ host: "127.0.0.1", port: harness.port });
    const client = harness.nodeTls({ socket: below });
    const server = await harness.nextSocket();
    below.write(junk);
    await assert.rejects(server.read(new Uint8Array(10)), isConnectionLost);
    server.close();
    await end(client);
  }
});

Deno.test("nothing of a handshake that has failed is held", async () => {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  using harness = new Harness();
  const failed: WeakRef<TLSSocket>[] = [];
  // The library's object is seen nowhere else.
  const { destroy } = TLSSocket.prototype;
  TLSSocket.prototype.destroy = function (...args) {
    failed.push(new WeakRef(this));
    return destroy.apply(this, args);
  };
  try {
    for (const bytes of [clientHello(0x0302), clientHello(0x0303)]) {
      for (let count = 0; count < 10; count++) {
        const client = await harness.raw();
        const result = harness.next();
        await client.write(bytes);
        await client.closeWrite();
        await readBytes(client);
        client.close();
        assert.notEqual(refusalOf(await result), "accepted");
      }
    }
  } finally {
    TLSSocket.prototype.destroy = destroy;
  }
  assert.ok(failed.length >= 20);
  const deadlineMs = performance.now() + TIMEOUT_MS;
  const held = () => failed.filter((ref) => ref.deref() !== undefined).length;
  // What is under way may hold the last ones for a moment.
  for (; held() > 1; collectGarbage()) {
    assert.ok(performance.now() < deadlineMs, `${held()} of ${failed.length} are held`);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
});
