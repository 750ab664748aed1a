// The health path on a public port: what it answers, to whom, and that it counts towards the handshake rate.

import assert from "node:assert/strict";
import { type Harness, startHarness } from "../support/firewall_harness.ts";
import { RawClient, requestHead } from "../support/raw_client.ts";

const HEALTH = { healthPath: "/healthz" };

/** A server with a health path, and what ends it. */
function start(overrides: Parameters<typeof startHarness>[3] = HEALTH): Harness & AsyncDisposable {
  const harness = startHarness({}, undefined, undefined, overrides);
  return Object.assign(harness, { [Symbol.asyncDispose]: () => harness.stop() });
}

/** Everything that comes back for a head. */
async function send({ port }: Harness, ...lines: string[]): Promise<string> {
  using client = await RawClient.open({ port });
  await client.send(`${lines.join("\r\n")}\r\n\r\n`);
  return new TextDecoder().decode(await client.eof());
}

const OK =
  /^HTTP\/1\.1 200 OK\r\nCache-Control: no-store\r\nDate: [^\r]+\r\nConnection: close\r\nContent-Type: text\/plain; charset=utf-8\r\nContent-Length: 3\r\n\r\n/;

Deno.test("says whether the server is ready, to whatever name, and nothing else", async () => {
  await using server = start();
  const get = ["GET /healthz HTTP/1.1", "Host: any.example", "Origin: https://evil.example"];
  assert.match(await send(server, ...get), new RegExp(`${OK.source}ok\n$`));
  assert.match(
    await send(server, "HEAD /healthz?a=b HTTP/1.1", "Host: 192.0.2.1"),
    new RegExp(`${OK.source}$`),
  );
  // As HAProxy and old probes ask.
  assert.match(await send(server, "GET /healthz HTTP/1.0"), new RegExp(`${OK.source}ok\n$`));
  server.isReady = false;
  assert.match(
    await send(server, ...get),
    /^HTTP\/1\.1 503 Service Unavailable\r\n.*\r\n\r\nnot ready\n$/s,
  );
  assert.deepEqual(server.events, []);
  assert.equal(server.admission.refusalsOf("echo").size, 0);
});

Deno.test("the health path is one path for two methods, and is no handshake", async () => {
  await using server = start();
  const host = "Host: localhost";
  assert.match(await send(server, "POST /healthz HTTP/1.1", host), /^HTTP\/1\.1 405 /);
  assert.match(await send(server, "OPTIONS /healthz HTTP/1.0", host), /^HTTP\/1\.1 505 /);
  for (const path of ["/healthz/", "/Healthz", "/health", "/%68ealthz", "/"]) {
    assert.match(await send(server, `GET ${path} HTTP/1.1`, host), /^HTTP\/1\.1 426 /, path);
    assert.match(await send(server, `GET ${path} HTTP/1.0`, host), /^HTTP\/1\.1 505 /, path);
  }
  using client = await RawClient.open({ port: server.port });
  await client.send(requestHead({ target: "/healthz" }));
  assert.equal((await client.readHead()).status, 404);
  const old = requestHead({ target: "/healthz" }).trimEnd().replace("HTTP/1.1", "HTTP/1.0");
  assert.match(await send(server, old), /^HTTP\/1\.1 505 /);
});

Deno.test("the endpoint's own path can be the health path, too", async () => {
  await using server = start({ healthPath: "/" });
  assert.match(await send(server, "GET / HTTP/1.1", "Host: localhost"), OK);
  using client = await RawClient.connect({ port: server.port });
  await client.sendText("hello");
  assert.equal(await client.nextText(), "hello");
  client.close();
});

Deno.test("there is no health path unless somebody asks for one", async () => {
  await using server = start({});
  assert.match(await send(server, "GET /healthz HTTP/1.1", "Host: localhost"), /^HTTP\/1\.1 426 /);
});

Deno.test("a health check takes a place in the rate of its address, as a handshake does", async () => {
  await using server = start({ ...HEALTH, handshakeRate: 3 });
  const statuses: string[] = [];
  for (let i = 0; i < 5; i++) {
    statuses.push((await send(server, "GET /healthz HTTP/1.1", "Host: localhost")).slice(9, 12));
  }
  // A slow machine may have earned a place meanwhile.
  assert.deepEqual(statuses.slice(0, 3), ["200", "200", "200"]);
  assert.ok(statuses.includes("429"), statuses.join());
});

Deno.test("whoever may not connect may not ask for the health either", async () => {
  await using server = start({ ...HEALTH, denyIp: ["127.0.0.0/8"] });
  assert.match(await send(server, "GET /healthz HTTP/1.1", "Host: localhost"), /^HTTP\/1\.1 403 /);
});

Deno.test("a health check that stands behind a proxy counts for the client that the proxy names", async () => {
  await using server = start({ ...HEALTH, handshakeRate: 1, trustProxy: ["127.0.0.1"] });
  for (const client of ["192.0.2.1", "192.0.2.2"]) {
    const head = ["GET /healthz HTTP/1.1", "Host: localhost", `X-Forwarded-For: ${client}`];
    assert.match(await send(server, ...head), OK);
  }
});
