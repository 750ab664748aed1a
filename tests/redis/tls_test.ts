// Redis behind TLS: which servers are trusted, the messages about others, and authorities that can't be used.

import assert from "node:assert/strict";
import { NO_REDIS, privatePort, RedisServer } from "./redis_server.ts";
import { Node, token } from "./nodes.ts";

const FIXTURES = new URL("../fixtures/tls/", import.meta.url).pathname;

/** A Redis with a certificate of the fixtures, whose user is `me` with the password `s3cret`. */
async function startRedis(certificate: string, more: readonly string[] = ["--tls-auth-clients", "no"]) {
  const port = privatePort();
  const redis = await RedisServer.start([
    ...["--tls-port", String(port), "--tls-ca-cert-file", `${FIXTURES}client_ca.pem`],
    ...["--tls-cert-file", FIXTURES + certificate, "--tls-key-file", `${FIXTURES}server.key.pem`],
    ...["--user", "me", "on", ">s3cret", "~*", "&*", "+@all"],
    ...more,
  ]);
  return Object.assign(redis, { tlsUrl: `rediss://me:s3cret@localhost:${port}` });
}

/** A node that believes whom a file says. */
function startNode(url: string, ca: string): Node {
  return new Node(url, ["--redis-ca", ca], undefined, [`--allow-read=${ca}`]);
}

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: NO_REDIS, fn });
}

test("over TLS, with --redis-ca; without it, it is not believed", async () => {
  await using redis = await startRedis("server.pem");
  await using trusting = startNode(redis.tlsUrl, `${FIXTURES}server.pem`);
  await trusting.joined();
  const { client, answer: text } = await trusting.login(token());
  assert.equal(text, "Authenticated!");
  client.close();
  await using wary = new Node(redis.tlsUrl);
  await wary.program.logged(/Redis can't be used.*not from a trusted authority/);
});

for (
  const [certificate, more, reason] of [
    ["other_name.pem", undefined, /not valid for name/],
    ["expired.pem", undefined, /expired/],
    ["server.pem", ["--tls-auth-clients", "yes"], /wants a certificate of its clients/],
  ] as const
) {
  test(`a Redis with ${certificate} ${more?.join(" ") ?? ""}: one record says what is wrong, and no password`, async () => {
    await using redis = await startRedis(certificate, more);
    await using node = startNode(redis.tlsUrl, FIXTURES + certificate);
    const record = await node.program.logged(/Redis can't be used.*/);
    assert.match(record, reason);
    node.program.signal("SIGTERM");
    const { stdout, stderr } = await node.program.result();
    assert.equal(stderr.match(/Redis can't be used/g)?.length, 1);
    assert.doesNotMatch(stdout + stderr, /s3cret/);
  });
}

test("a --redis-ca that can't be used ends the start; at SIGHUP the old one stays", async () => {
  await using redis = await startRedis("server.pem");
  const folder = await Deno.makeTempDir();
  const path = `${folder}/ca.pem`;
  for (
    const [text, reason] of [
      [
        "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
        /a certificate in it can't be read/,
      ],
      ["hello", /there is no certificate in PEM in it/],
      [undefined, /it does not exist/],
    ] as const
  ) {
    if (text === undefined) await Deno.remove(path);
    else await Deno.writeTextFile(path, text);
    await using refused = startNode(redis.tlsUrl, path);
    const { code, stderr } = await refused.program.result();
    assert.equal(code, 1);
    assert.match(stderr, /Cannot use --redis-ca ".*ca\.pem": /);
    assert.match(stderr, reason);
    assert.doesNotMatch(stderr, /s3cret/);
  }
  await Deno.copyFile(`${FIXTURES}stranger.pem`, path);
  await using node = startNode(redis.tlsUrl, path);
  await node.program.logged(/Redis can't be used.*not from a trusted authority/);
  await Deno.writeTextFile(path, "hello");
  node.program.signal("SIGHUP");
  await node.program.logged(/redis\.reload_failed .*Cannot use --redis-ca .*there is no certificate/);
  await Deno.copyFile(`${FIXTURES}server.pem`, path);
  node.program.signal("SIGHUP");
  await node.program.logged(/redis\.reloaded /);
  await node.joined();
  await Deno.remove(path);
  node.program.signal("SIGHUP");
  await node.program.logged(/redis\.reload_failed .*it does not exist/);
  await redis.kill();
  await redis.restart();
  await node.program.logged(/Redis can be used[^]*Redis can't be used[^]*Redis can be used/);
  await Deno.remove(folder, { recursive: true });
});
