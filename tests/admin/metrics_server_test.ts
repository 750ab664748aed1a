// The listener for machines: what it shows to whom, that nothing can be changed by it, and its token.

import assert from "node:assert/strict";
import { EventFeed } from "../../src/admin/event_feed.ts";
import { type MetricsOptions, type MetricsServer, startMetrics } from "../../src/admin/metrics_server.ts";
import { MetricsToken } from "../../src/admin/metrics_token.ts";
import { StartError } from "../../src/core/errors.ts";
import { Readiness } from "../../src/core/readiness.ts";
import { SecureCounters } from "../../src/endpoints/sessions/secure_counters.ts";
import { clientKey } from "../../src/firewall/admission/network_set.ts";
import { RecordBrake } from "../../src/telemetry/record_brake.ts";
import { FakeFirewall, type RawRequest, send } from "./harness.ts";

const TOKEN = "0123456789abcdef";

/** A listener with a firewall of fields, and a folder for its token. */
class Bench implements AsyncDisposable {
  readonly folder = Deno.makeTempDirSync();
  readonly firewall = new FakeFirewall();
  readonly feed = new EventFeed();
  readonly #brake = new RecordBrake(
    this.feed.tee(() => {}, (fault) => {
      throw fault;
    }),
    clientKey,
  );
  readonly server: MetricsServer;
  problems: readonly string[] = [];

  constructor(text?: string, overrides: Partial<MetricsOptions> = {}) {
    const readiness = new Readiness();
    readiness.add(() => this.problems);
    this.server = startMetrics({
      listen: "127.0.0.1:0",
      tokenFile: text === undefined ? undefined : this.writeToken(text),
      version: "1.2.3",
      isSecure: false,
      firewall: () => this.firewall,
      readiness,
      sessions: undefined,
      counters: new SecureCounters(),
      feed: this.feed,
      log: this.#brake.log,
      ...overrides,
    });
  }

  get tokenFile(): string {
    return `${this.folder}/token`;
  }

  /** The path of the file, with this text in it. */
  writeToken(text: string): string {
    Deno.writeTextFileSync(this.tokenFile, text);
    return this.tokenFile;
  }

  send(request: RawRequest) {
    return send(Number(new URL(this.server.url).port), request);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
    this.#brake.flush();
    Deno.removeSync(this.folder, { recursive: true });
  }
}

function bearer(token: string) {
  return { Authorization: `Bearer ${token}` };
}

Deno.test("shows health and metrics under any name, and is told by its address", async () => {
  await using bench = new Bench();
  assert.match(bench.server.url, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
  for (const host of ["wsward:9091", "192.0.2.7", "127.0.0.1"]) {
    assert.equal((await bench.send({ path: "/healthz", host })).text, "ok\n");
    const { status, text } = await bench.send({ path: "/metrics", host });
    assert.equal(status, 200);
    assert.match(text, /^wsward_ready 1$/m);
    assert.match(text, /^wsward_handshakes_total\{endpoint="echo",result="refused",reason="origin"\} 2$/m);
    // Where no tokens are judged there are no sessions either.
    assert.doesNotMatch(text, /^wsward_sessions_open \d/m);
  }
  bench.problems = ["draining"];
  const { status, json } = await bench.send({ path: "/readyz" });
  assert.deepEqual([status, json], [503, { ready: false, problems: ["draining"] }]);
  assert.equal((await bench.send({ path: "/healthz" })).status, 200);
});

Deno.test("has no other path and no other method, whatever the admin listener has", async () => {
  await using bench = new Bench();
  for (const path of ["/", "/status", "/events", "/sessions", "/connections", "/bans", "/revocations"]) {
    for (const method of ["GET", "POST", "DELETE"]) {
      assert.equal((await bench.send({ method, path })).status, 404, `${method} ${path}`);
    }
  }
  for (const path of ["/healthz", "/readyz", "/metrics"]) {
    for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"]) {
      const { status, headers } = await bench.send({ method, path });
      assert.deepEqual([status, headers.get("allow")], [405, "GET, HEAD"], `${method} ${path}`);
    }
    const { status, text } = await bench.send({ method: "HEAD", path });
    assert.deepEqual([status, text], [200, ""]);
    assert.equal((await bench.send({ path, body: "x" })).status, 400);
  }
});

Deno.test("with a token, only its bearer sees the metrics, and nobody else why the server is not ready", async () => {
  await using bench = new Bench(`${TOKEN}\n`);
  const wrong = [
    {},
    bearer(""),
    bearer("x"),
    bearer(TOKEN.slice(1)),
    bearer(`${TOKEN}0`),
    bearer(TOKEN.toUpperCase()),
    bearer("0123456789abcdeg"),
    { Authorization: TOKEN },
    { Authorization: `Basic ${TOKEN}` },
    bearer(`${TOKEN} ${TOKEN}`),
  ];
  for (const headers of wrong) {
    const { status, text, headers: answered } = await bench.send({ path: "/metrics", headers });
    assert.deepEqual([status, answered.get("www-authenticate")], [401, "Bearer"], JSON.stringify(headers));
    assert.doesNotMatch(text, /wsward_|0123/);
  }
  assert.equal((await bench.send({ path: "/metrics", headers: bearer(TOKEN) })).status, 200);
  assert.equal(
    (await bench.send({ path: "/metrics", headers: { Authorization: `bearer  ${TOKEN}` } })).status,
    200,
  );
  bench.problems = ["the endpoint echo is down"];
  const { status, json } = await bench.send({ path: "/readyz" });
  assert.deepEqual([status, json], [503, { ready: false }]);
  assert.equal((await bench.send({ path: "/healthz" })).status, 200);
});

Deno.test("refusals are recorded, a few at once and then their number, and never with a token", async () => {
  const bench = new Bench(TOKEN);
  for (let i = 0; i < 20; i++) await bench.send({ path: "/metrics", headers: bearer("guess-of-a-stranger") });
  const records = bench.feed.recent().map(({ json }) => JSON.parse(json));
  assert.deepEqual(records.map(({ event }) => event), Array(5).fill("metrics.refused"));
  await bench[Symbol.asyncDispose]();
  const { event, count } = JSON.parse(bench.feed.recent().at(-1)!.json);
  assert.deepEqual([event, count], ["metrics.refused", 15]);
  assert.doesNotMatch(JSON.stringify(records), /guess|0123/);
});

Deno.test("a token can be changed while the server runs, and a file that can't be used changes nothing", async () => {
  await using bench = new Bench();
  const token = new MetricsToken(bench.writeToken(TOKEN));
  for (const text of ["", "short", "two words of a token", "a".repeat(5000)]) {
    Deno.writeTextFileSync(bench.tokenFile, text);
    assert.throws(() => token.reload(), StartError);
    assert.ok(token.isIn(`Bearer ${TOKEN}`));
  }
  Deno.removeSync(bench.tokenFile);
  assert.throws(() => token.reload(), /^StartError: Cannot use the token file ".*": it does not exist$/);
  const next = "a-token-of-somebody-else";
  Deno.writeTextFileSync(bench.tokenFile, next);
  token.reload();
  assert.ok(token.isIn(`Bearer ${next}`));
  assert.ok(!token.isIn(`Bearer ${TOKEN}`));
});

for (const [length, isLongEnough] of [[15, false], [16, true], [17, true]] as const) {
  Deno.test(`a token of ${length} characters ${isLongEnough ? "can" : "can't"} be used`, async () => {
    await using bench = new Bench();
    const make = () => new MetricsToken(bench.writeToken("a".repeat(length)));
    if (isLongEnough) make();
    else assert.throws(make, /it must hold one word of at least 16 /);
  });
}

Deno.test("who asks without end gets metrics that were made within the last second", async () => {
  await using bench = new Bench();
  let count = 0;
  const { metrics } = bench.firewall;
  bench.firewall.metrics = () => {
    count++;
    return metrics.call(bench.firewall);
  };
  const startedMs = performance.now();
  for (let i = 0; i < 30; i++) assert.equal((await bench.send({ path: "/metrics" })).status, 200);
  assert.ok(count <= 1 + (performance.now() - startedMs) / 1000, String(count));
});

Deno.test("an address that is taken is named", () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const listen = `127.0.0.1:${taken.addr.port}`;
  assert.throws(
    () => new Bench(undefined, { listen }),
    /^StartError: Cannot listen on ".*" for metrics: the address is in use$/,
  );
});
