// Resuming a TLS session with a client certificate that is no longer accepted: in the table, and with real OpenSSL.

import assert from "node:assert/strict";
import { readCertificates } from "../../src/firewall/tls/tls_identity.ts";
import { CheckedClients, type ClientCertificate } from "../../src/firewall/tls/tls_clients.ts";
import {
  bytesOf,
  CLIENT,
  FIXTURES,
  Harness,
  pem,
  refusalOf,
  RENEWED,
  SERVER,
  STRANGER,
  WITH_CLIENT_CA,
} from "../support/tls_harness.ts";

const END_MS = Date.UTC(2030, 0, 1);

function certificate(fingerprint256: string, endMs = END_MS, issuer?: ClientCertificate): ClientCertificate {
  return { fingerprint256, validTo: new Date(endMs).toUTCString(), issuerCertificate: issuer };
}

Deno.test("a session goes on until its certificate ends", () => {
  const clients = new CheckedClients(pem("client_ca"));
  clients.add(certificate("a"));
  for (const [nowMs, expected] of [[END_MS - 1, true], [END_MS, true], [END_MS + 1, false]] as const) {
    assert.equal(clients.has(certificate("a"), nowMs), expected);
  }
  assert.equal(clients.has(certificate("b"), 0), false);
});

Deno.test("a session ends with the certificate of its issuer, unless that is the authority itself", () => {
  const [authority] = readCertificates("client CA", pem("client_ca"));
  const clients = new CheckedClients(pem("client_ca"));
  clients.add(certificate("a", END_MS, certificate("intermediate", 1000)));
  assert.equal(clients.has(certificate("a"), 1000), true);
  assert.equal(clients.has(certificate("a"), 1001), false);
  clients.add(certificate("b", END_MS, certificate(authority.fingerprint256, 1000)));
  assert.equal(clients.has(certificate("b"), 1001), true);
});

Deno.test("forgets who has been away longest when there are too many", () => {
  const clients = new CheckedClients(pem("client_ca"), 3);
  for (const name of ["a", "b", "c"]) clients.add(certificate(name));
  assert.ok(clients.has(certificate("a"), 0));
  clients.add(certificate("c"));
  clients.add(certificate("d"));
  assert.deepEqual(["a", "b", "c", "d"].map((name) => clients.has(certificate(name), 0)), [
    true,
    false,
    true,
    true,
  ]);
});

function hasOpenssl(): boolean {
  try {
    return new Deno.Command("openssl", { args: ["version"] }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

// A client of this runtime resumes nothing that a test could count on.

/** What `openssl s_client` is given, besides where to connect: its version, and what it shows and resumes. */
type Arguments = readonly string[];

/** Makes one connection with OpenSSL. Resolves with how it ended here, and what the client says of it. */
async function visit(harness: Harness, args: Arguments): Promise<{ end: string; output: string }> {
  const client = new Deno.Command("openssl", {
    args: [
      "s_client",
      "-connect",
      `127.0.0.1:${harness.port}`,
      "-servername",
      "localhost",
      "-ign_eof",
      ...args,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const result = await harness.next();
  if (result.ok) {
    // Also brings the tickets, which come before it.
    await result.socket.write(bytesOf("welcome"));
    await result.socket.closeWrite();
    assert.equal(await result.socket.read(new Uint8Array(1)), null);
    result.socket.close();
  }
  return { end: refusalOf(result), output: new TextDecoder().decode((await client).stdout) };
}

const SHOWING_CLIENT = ["-cert", `${FIXTURES}client.pem`, "-key", `${FIXTURES}client.key.pem`];
const OTHER_CA = { ...SERVER, clientCa: STRANGER.cert };

for (const version of ["-tls1_2", "-tls1_3"]) {
  Deno.test({
    name: `a session of another client CA resumes nothing, with ${version}`,
    ignore: !hasOpenssl(),
    async fn() {
      const folder = await Deno.makeTempDir();
      const saved = `${folder}/session`;
      const saving = [version, ...SHOWING_CLIENT, "-sess_out", saved];
      using harness = new Harness(WITH_CLIENT_CA);
      const whole = await visit(harness, saving);
      assert.equal(whole.end, "accepted");
      assert.match(whole.output, /welcome/);
      // The certificate needs not be at hand, as long as it is accepted; and the server's own may be another.
      harness.acceptor.reload({ ...RENEWED, clientCa: WITH_CLIENT_CA.clientCa });
      const resumed = await visit(harness, [version, "-sess_in", saved]);
      assert.equal(resumed.end, "accepted");
      assert.match(resumed.output, /^Reused/m);
      harness.acceptor.reload(OTHER_CA);
      for (const args of [[], SHOWING_CLIENT]) {
        const old = await visit(harness, [version, "-sess_in", saved, ...args]);
        assert.match(old.end, /session/);
        // Nor is it given a ticket for another attempt.
        assert.doesNotMatch(old.output, /welcome|New Session Ticket arrived/);
      }
      // Of the refused one too: nothing that it got can be resumed.
      const refused = await visit(harness, saving);
      assert.match(refused.end, /client certificate/);
      assert.match((await visit(harness, [version, "-sess_in", saved])).end, /session/);
      // Nor when the old authority is back, until a whole handshake has shown the certificate again.
      harness.acceptor.reload(WITH_CLIENT_CA);
      assert.match((await visit(harness, [version, "-sess_in", saved])).end, /session/);
      assert.equal((await visit(harness, saving)).end, "accepted");
      assert.equal((await visit(harness, [version, "-sess_in", saved])).end, "accepted");
      await Deno.remove(folder, { recursive: true });
    },
  });

  Deno.test({
    name: `a session of a time without a client CA resumes nothing, with ${version}`,
    ignore: !hasOpenssl(),
    async fn() {
      const folder = await Deno.makeTempDir();
      const saved = `${folder}/session`;
      using harness = new Harness();
      assert.equal((await visit(harness, [version, "-sess_out", saved])).end, "accepted");
      harness.acceptor.reload(RENEWED);
      const resumed = await visit(harness, [version, "-sess_in", saved]);
      assert.deepEqual([resumed.end, /^Reused/m.test(resumed.output)], ["accepted", true]);
      harness.acceptor.reload(WITH_CLIENT_CA);
      assert.match((await visit(harness, [version, "-sess_in", saved])).end, /session/);
      await Deno.remove(folder, { recursive: true });
    },
  });
}

for (const heldBack of [1, 0]) {
  Deno.test(`a handshake of before a reload is judged by the new client CA, ${heldBack} bytes before its hello's end`, async () => {
    using harness = new Harness(WITH_CLIENT_CA);
    const relay = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const client = harness.nodeTls({ ...CLIENT, port: relay.addr.port });
    const [outer, inner] = [await relay.accept(), await harness.raw()];
    relay.close();
    const result = harness.next();
    const hello = new Uint8Array(8192);
    const size = (await outer.read(hello))!;
    await inner.write(hello.subarray(0, size - heldBack));
    // What the server answers shows that it has the hello, if that is whole.
    const answer = new Uint8Array(8192);
    const answered = heldBack === 0 ? (await inner.read(answer))! : 0;
    harness.acceptor.reload(OTHER_CA);
    await inner.write(hello.subarray(size - heldBack, size));
    await outer.write(answer.subarray(0, answered));
    const ended = Promise.allSettled([
      inner.readable.pipeTo(outer.writable),
      outer.readable.pipeTo(inner.writable),
    ]);
    assert.match(
      refusalOf(await result),
      heldBack === 0 ? /accepted now/ : /client certificate was not accepted/,
    );
    client.destroy();
    await ended;
  });
}
