// The URL of Redis: which are read, which are refused, and what of them may be shown.

import assert from "node:assert/strict";
import { holdsCredentials, isRedisUrl, parseRedisUrl, redisPermission } from "../../src/core/redis_text.ts";

const GOOD: Readonly<Record<string, readonly unknown[]>> = {
  "redis://127.0.0.1": [
    "tcp",
    "127.0.0.1",
    6379,
    undefined,
    undefined,
    "redis://127.0.0.1",
    "127.0.0.1:6379",
  ],
  "redis://redis:6380": ["tcp", "redis", 6380, undefined, undefined, "redis://redis:6380", "redis:6380"],
  "REDIS://db.example.com/": [
    "tcp",
    "db.example.com",
    6379,
    undefined,
    undefined,
    "redis://db.example.com",
    "db.example.com:6379",
  ],
  "rediss://me:p%40ss%3a@db.example.com:1": [
    "tls",
    "db.example.com",
    1,
    "me",
    "p@ss:",
    "rediss://db.example.com:1",
    "db.example.com:1",
  ],
  "redis://:secret@[::1]:6379": ["tcp", "::1", 6379, undefined, "secret", "redis://[::1]:6379", "[::1]:6379"],
  "redis://my_redis:65535": [
    "tcp",
    "my_redis",
    65535,
    undefined,
    undefined,
    "redis://my_redis:65535",
    "my_redis:65535",
  ],
};

Deno.test("reads where Redis is and as whom to speak to it", () => {
  for (const [text, [kind, hostname, port, user, password, name, permission]] of Object.entries(GOOD)) {
    const address = parseRedisUrl(text)!;
    assert.deepEqual({ ...address }, { kind, hostname, port, user, password, name }, text);
    assert.equal(redisPermission(address), permission);
    assert.equal(holdsCredentials(text), password !== undefined);
    assert.doesNotMatch(address.name, /@|secret|p%40ss/);
  }
  const unix = parseRedisUrl("unix://me:secret@/run/redis.sock")!;
  assert.deepEqual({ ...unix }, {
    kind: "unix",
    path: "/run/redis.sock",
    user: "me",
    password: "secret",
    name: "unix:///run/redis.sock",
  });
  assert.equal(redisPermission(unix), "unix:/run/redis.sock");
});

Deno.test("refuses everything else", () => {
  const wrong = [
    "",
    "redis",
    "127.0.0.1:6379",
    "http://127.0.0.1",
    "redis://",
    "redis://:6379",
    "redis://a:0",
    "redis://a:65536",
    "redis://a:b",
    "redis://a/1",
    "redis://a?x",
    "redis://a#x",
    "redis://a b",
    "redis://me@a",
    "redis://%zz:x@a",
    "redis://me:%zz@a",
    "redis://a@b@c",
    "redis://[::1",
    "redis://[1.2.3.4]",
    "redis://-a",
    "unix://",
    "unix:///",
    "unix://relative",
    "redis:///a",
    `redis://me:${"x".repeat(1100)}@a`,
    "redis://a\n",
    "rediss://256.1.1.1:1:1",
  ];
  for (const text of wrong) assert.equal(isRedisUrl(text), false, JSON.stringify(text));
});

Deno.test("long texts are refused in linear time", () => {
  const startMs = performance.now();
  for (const part of [":", "@", "a", ".", "%", "[", "-", "/"]) isRedisUrl(`redis://${part.repeat(200_000)}`);
  assert.ok(performance.now() - startMs < 2000);
});
