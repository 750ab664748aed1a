// The misbehaving server: it does what the path says, stays on this machine, and keeps its limits.

import assert from "node:assert/strict";
import { CATALOGUE } from "../../src/tools/misbehave/catalogue.ts";
import { parsePath } from "../../src/tools/misbehave/path.ts";
import { MisbehaveServer } from "../../src/tools/misbehave/server.ts";
import { concat, frame, OPCODE, RawClient, requestHead } from "../support/raw_client.ts";

const OPTIONS = { host: "127.0.0.1", port: 0, maxConnections: 20, maxLifetimeMs: 30_000, maxSent: 2 ** 20 };

async function connect(server: MisbehaveServer, target: string): Promise<RawClient> {
  return await RawClient.connect({ port: server.port }, { target });
}

async function request(server: MisbehaveServer, head: string): Promise<string> {
  using client = await RawClient.open({ port: server.port });
  await client.send(head);
  return new TextDecoder().decode(await client.eof());
}

Deno.test("does the parts of a path from left to right, then echoes", async () => {
  await using server = await MisbehaveServer.start(OPTIONS);
  using client = await connect(server, "/delay/10ms/fragments/3/empty/after/1/close/4001?reason=enough");
  const frames = [];
  for (let i = 0; i < 4; i++) frames.push(await client.nextFrame());
  assert.deepEqual(frames.slice(0, 3).map(({ opcode, fin, text }) => [opcode, fin, text]), [
    [OPCODE.text, false, "in f"],
    [OPCODE.continuation, false, "ragm"],
    [OPCODE.continuation, true, "ents"],
  ]);
  assert.deepEqual(frames.slice(3).map(({ opcode, fin, text }) => [opcode, fin, text]), [[
    OPCODE.text,
    true,
    "",
  ]]);
  await client.sendText("abc");
  assert.deepEqual([(await client.nextFrame()).text, (await client.nextFrame()).text], ["a", "b"]);
  await client.nextFrame();
  assert.deepEqual(await client.nextClose(), { code: 4001, reason: "enough" });
});

Deno.test("sends the illegal bytes that its path names, and no others", async () => {
  await using server = await MisbehaveServer.start(OPTIONS);
  const cases: readonly (readonly [target: string, bytes: readonly number[]])[] = [
    ["/bad/rsv1", [0xc1, 4, ...new TextEncoder().encode("rsv1")]],
    ["/bad/opcode/11", [0x8b, 0]],
    ["/bad/utf8", [0x81, 3, 0x61, 0xc0, 0x80]],
    ["/bad/long-length", [0x81, 127, 0, 0, 0, 0, 0, 0, 0, 1, 0x78]],
    ["/bad/negative-length", [0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]],
    ["/bad/fragmented-ping", [0x09, 4, ...new TextEncoder().encode("part")]],
    ["/close/1005", [0x88, 2, 0x03, 0xed]],
    ["/close/one-byte", [0x88, 1, 3]],
    ["/close/empty", [0x88, 0]],
    ["/drop", []],
  ];
  for (const [target, bytes] of cases) {
    using client = await connect(server, target);
    await client.closeWrite();
    assert.deepEqual([target, ...await client.eof()], [target, ...bytes]);
  }
  using masked = await connect(server, "/bad/masked");
  assert.equal((await masked.nextFrame()).masked, true);
});

Deno.test("sends a message of the size that its path names, in as many fragments", async () => {
  await using server = await MisbehaveServer.start(OPTIONS);
  using client = await connect(server, "/fragments/3/size/200KiB");
  for (let i = 0; i < 3; i++) await client.nextFrame();
  const parts = [await client.nextFrame(), await client.nextFrame(), await client.nextFrame()];
  assert.deepEqual(parts.map(({ opcode, fin }) => [opcode, fin]), [[2, false], [0, false], [0, true]]);
  assert.equal(parts.reduce((sum, { payload }) => sum + payload.length, 0), 200 * 1024);
});

Deno.test("answers the handshake wrongly where the path says so", async () => {
  await using server = await MisbehaveServer.start(OPTIONS);
  const answer = (target: string) => request(server, requestHead({ target }));
  assert.match(await answer("/status/418"), /^HTTP\/1\.1 418 /);
  assert.match(await answer("/status/503"), /\r\nRetry-After: 1\r\n/);
  assert.match(await answer("/redirect"), /^HTTP\/1\.1 302 .*\r\nLocation: \/echo\r\n/s);
  assert.match(await answer("/handshake/garbage"), /^SSH/);
  assert.match(await answer("/handshake/truncated"), /^HTTP\/1\.1 101 Switching Pro$/);
  for (
    const [target, line] of [["no-upgrade", "Upgrade"], ["no-connection", "Connection"], [
      "no-accept",
      "Sec-WebSocket-Accept",
    ]]
  ) {
    using client = await RawClient.open({ port: server.port });
    const { status, headers } = await client.handshake({ target: `/handshake/${target}` });
    assert.deepEqual([status, headers.has(line!)], [101, false]);
  }
});

Deno.test("ends with a RST, or with a FIN in the middle", async () => {
  await using server = await MisbehaveServer.start(OPTIONS);
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await conn.write(new TextEncoder().encode(requestHead({ target: "/reset" })));
  await assert.rejects(async () => {
    while (await conn.read(new Uint8Array(1024)) !== null);
  }, Deno.errors.ConnectionReset);
  conn.close();
  using half = await connect(server, "/half-close");
  assert.equal((await half.eof()).length, 0);
});

Deno.test("fails as often as the path says, counted by key, and then does not", async () => {
  await using server = await MisbehaveServer.start(OPTIONS);
  const statuses = [];
  for (const key of ["a", "a", "b", "a", "b", "b", "a"]) {
    using client = await RawClient.open({ port: server.port });
    statuses.push((await client.handshake({ target: `/fail/2/then/echo?key=${key}` })).status);
  }
  assert.deepEqual(statuses, [503, 503, 503, 101, 503, 101, 101]);
});

Deno.test("is bad by chance, and by the same chance for the same seed", async () => {
  const outcomes = async () => {
    await using server = await MisbehaveServer.start(OPTIONS);
    const seen = [];
    for (let i = 0; i < 30; i++) {
      using client = await RawClient.open({ port: server.port });
      seen.push((await client.handshake({ target: "/status/500?probability=0.3&seed=7" })).status);
    }
    return seen;
  };
  const first = await outcomes();
  assert.deepEqual(await outcomes(), first);
  const failed = first.filter((status) => status === 500).length;
  assert.ok(failed > 3 && failed < 17, `${failed} of 30 at a probability of 0.3`);
});

Deno.test("sends one connection no more than its cap", async () => {
  await using server = await MisbehaveServer.start({ ...OPTIONS, maxSent: 10_000 });
  using flooded = await connect(server, "/chop/1000/size/200KiB");
  const size = (await flooded.eof()).length;
  assert.ok(size > 5000 && size <= 10_000, `${size} bytes`);
});

Deno.test("takes no more connections than its cap, and others when some have ended", async () => {
  await using server = await MisbehaveServer.start({ ...OPTIONS, maxConnections: 2 });
  using one = await connect(server, "/never-read");
  using two = await connect(server, "/echo");
  using three = await RawClient.open({ port: server.port });
  await assert.rejects(three.handshake(), /ended/);
  two.close();
  for (;;) {
    using four = await RawClient.open({ port: server.port });
    const status = await four.handshake().then(({ status }) => status, () => "not yet");
    if (status === 101) break;
  }
  one.close();
});

Deno.test("ends each connection after its time", async () => {
  await using server = await MisbehaveServer.start({ ...OPTIONS, maxLifetimeMs: 300 });
  using client = await connect(server, "/never-read");
  assert.equal((await client.eof()).length, 0);
});

Deno.test("answers no message over 4 MiB, and none of more than 10,000 fragments", async () => {
  await using server = await MisbehaveServer.start({ ...OPTIONS, maxSent: 2 ** 30 });
  const fragment = (payload: Uint8Array, isFirst: boolean) =>
    frame({ opcode: isFirst ? OPCODE.binary : OPCODE.continuation, fin: false, payload });
  const end = (size: number) => frame({ opcode: OPCODE.continuation, payload: new Uint8Array(size) });
  const part = new Uint8Array(2 ** 20 - 1);
  const large = concat(...[0, 1, 2, 3].map((i) => fragment(part, i === 0)));
  const many = concat(...Array.from({ length: 9999 }, (_, i) => fragment(new Uint8Array(0), i === 0)));
  for (const [begin, most] of [[large, end(4)], [many, end(1)]] as const) {
    using client = await connect(server, "/echo");
    await client.send(concat(begin, most));
    assert.equal((await client.nextFrame()).opcode, OPCODE.binary);
  }
  for (
    const [begin, more] of [[large, end(5)], [
      many,
      concat(fragment(new Uint8Array(0), false), end(1)),
    ]] as const
  ) {
    using client = await connect(server, "/echo");
    await client.send(concat(begin, more));
    assert.equal((await client.eof()).length, 0);
  }
});

Deno.test("remembers a thousand keys, the latest", async () => {
  await using server = await MisbehaveServer.start(OPTIONS);
  const statusOf = async (key: number) => {
    using client = await RawClient.open({ port: server.port });
    return (await client.handshake({ target: `/fail/1/then/echo?key=${key}` })).status;
  };
  for (let key = 0; key < 1000; key++) await statusOf(key);
  assert.deepEqual([await statusOf(999), await statusOf(1000), await statusOf(0)], [101, 503, 503]);
});

Deno.test("answers only to names of this machine and to pages of it", async () => {
  await using server = await MisbehaveServer.start(OPTIONS);
  const ask = (host: string, ...lines: readonly string[]) =>
    request(server, [`GET / HTTP/1.1`, `Host: ${host}`, ...lines, "", ""].join("\r\n"));
  assert.match(await ask("127.0.0.1:80"), /^HTTP\/1\.1 200 /);
  assert.match(await ask("localhost"), /^HTTP\/1\.1 200 /);
  assert.match(await ask("[::1]:80"), /^HTTP\/1\.1 200 /);
  assert.match(await ask("evil.example"), /^HTTP\/1\.1 421 /);
  assert.match(await ask("localhost", "Origin: https://evil.example"), /^HTTP\/1\.1 403 /);
  assert.match(await ask("localhost", "Origin: http://localhost:3000"), /^HTTP\/1\.1 200 /);
});

Deno.test("has its catalogue as a page that can run nothing else, and as JSON", async () => {
  await using server = await MisbehaveServer.start(OPTIONS);
  const page = await request(server, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assert.match(
    page,
    /content-security-policy: default-src 'none'; .*script-src 'sha256-[^']+'; connect-src ws:\/\/localhost;/i,
  );
  const json = await request(server, "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n");
  const { paths } = JSON.parse(json.slice(json.indexOf("\r\n\r\n")));
  assert.equal(paths.length, CATALOGUE.length);
  for (const { example } of paths) {
    assert.ok(page.includes(`data-path="${example}"`), example);
  }
});

Deno.test("says which part of a path is wrong, and what would be right", async () => {
  const cases = [
    ["/fragmnets/3", /"fragmnets".*the nearest one is fragments/],
    ["/close/70000", /"70000".*after close it must be a number from 0 to 65535, or one of empty, one-byte/],
    ["/bad/nothing", /"nothing".*after bad it must be one of utf8, /],
    ["/slow/fast", /"fast".*a rate such as 1KiB\/s/],
    ["/delay/3", /"3".*a duration such as 3s/],
    ["/fail/x/then/echo", /"x".*after fail it must be a number/],
    ["/fail/1001/then/echo", /"1001".*from 0 to 1000/],
    [`/echo?key=${"k".repeat(65)}`, /a key has at most 64 characters/],
    ["/fail/2/echo", /"echo".*after fail\/N it must be then\/PATH/],
    ["/echo?sed=1", /"sed".*the nearest one is seed/],
    ["/echo?probability=2", /"2".*from 0 to 1/],
    [`/${"echo/".repeat(33)}`, /more than 32 parts/],
  ] as const;
  for (const [target, said] of cases) {
    const [path = "", query = ""] = target.split(/(?=\?)/);
    const plan = parsePath(path, query);
    assert.match("fault" in plan ? plan.fault : "no fault", said);
  }
  await using server = await MisbehaveServer.start(OPTIONS);
  assert.match(
    await request(server, requestHead({ target: "/fragmnets/3" })),
    /^HTTP\/1\.1 404 .*the nearest one is fragments/s,
  );
});

Deno.test("can do every example of its own", () => {
  for (const { example, name } of CATALOGUE) {
    const plan = parsePath(example, "");
    assert.equal("fault" in plan ? plan.fault : plan.steps[0]?.what.name, name);
  }
});

Deno.test("refuses to listen for others", async () => {
  await assert.rejects(MisbehaveServer.start({ ...OPTIONS, host: "0.0.0.0" }), /not a loopback address/);
});
