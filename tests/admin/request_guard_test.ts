// Who the admin listener lets in: hosts, origins, tokens and bodies.

import assert from "node:assert/strict";
import { MAX_BODY_SIZE } from "../../src/admin/request_guard.ts";
import { AdminBench, bearer } from "./harness.ts";

const ADMIN = { scope: "wsward:admin" };
const JSON_TYPE = { "Content-Type": "application/json" };

for (
  const host of [
    "evil.example",
    "127.0.0.1.evil.example",
    "192.0.2.1",
    "[::2]:1",
    "localhost:99999",
    "localhost:65536",
    "127.0.0.1:1:1",
    "127.0.0.256",
    "127.0.0.09",
    "[127.0.0.1]",
    "[::1",
    "",
    "localhost:1, a",
    "x@127.0.0.1",
  ]
) {
  Deno.test(`answers 421 to the Host ${JSON.stringify(host)}`, async () => {
    await using bench = new AdminBench();
    for (const path of ["/healthz", "/metrics", "/status", "/nowhere"]) {
      const { status, headers } = await bench.send({ path, host, headers: bearer(ADMIN) });
      assert.equal(status, 421, path);
      assert.equal(headers.has("access-control-allow-origin"), false);
    }
  });
}

for (const host of ["localhost", "localhost:", "LOCALHOST:65535", "127.9.9.9:1", "[::1]:9090", "[::1]"]) {
  Deno.test(`answers to the Host ${host}`, async () => {
    await using bench = new AdminBench();
    assert.equal((await bench.send({ path: "/metrics", host })).status, 200);
    assert.equal((await bench.send({ path: "/", host })).status, 200);
  });
}

Deno.test("answers HTTP/1.0, and that without a Host, where the health is asked for and nowhere else", async () => {
  await using bench = new AdminBench();
  const status = async (path: string, host?: string, version = "1.0") =>
    (await bench.send({ path, host, version, headers: bearer(ADMIN) })).status;
  for (const path of ["/healthz", "/readyz"]) {
    assert.deepEqual([await status(path), await status(path, "localhost")], [200, 200], path);
    assert.equal(await status(path, "evil.example"), 421, path);
    assert.equal(await status(path, undefined, "1.1"), 400, path);
  }
  for (const path of ["/", "/metrics", "/status", "/healthz/", "/nowhere"]) {
    assert.equal(await status(path, "localhost"), 505, path);
  }
});

Deno.test("refuses every other origin, except for the health, and shares nothing with it", async () => {
  await using bench = new AdminBench();
  const own = `http://127.0.0.1:${bench.port}`;
  for (
    const origin of [
      "null",
      "http://evil.example",
      `https://127.0.0.1:${bench.port}`,
      "http://127.0.0.1",
      own + "/",
    ]
  ) {
    for (const path of ["/", "/metrics", "/readyz", "/status"]) {
      const { status, headers } = await bench.send({ path, headers: { ...bearer(ADMIN), Origin: origin } });
      assert.equal(status, 403, `${path} from ${origin}`);
      assert.equal(headers.has("access-control-allow-origin"), false);
    }
    assert.equal((await bench.send({ path: "/healthz", headers: { Origin: origin } })).status, 200);
    assert.equal(
      (await bench.send({ method: "POST", path: "/healthz", headers: { Origin: origin } })).status,
      403,
    );
    assert.equal(
      (await bench.send({ method: "OPTIONS", path: "/bans", headers: { Origin: origin } })).status,
      403,
    );
  }
  assert.equal(
    (await bench.send({ path: "/status", headers: { ...bearer(ADMIN), Origin: own } })).status,
    200,
  );
});

const GUARDED = [
  ["GET", "/status"],
  ["GET", "/events"],
  ["GET", "/history"],
  ["GET", "/connections"],
  ["DELETE", "/connections/x"],
  ["GET", "/sessions"],
  ["DELETE", "/sessions/x"],
  ["GET", "/revocations"],
  ["POST", "/revocations"],
  ["DELETE", "/revocations/x"],
  ["GET", "/bans"],
  ["POST", "/bans"],
  ["DELETE", "/bans/192.0.2.1"],
] as const;

for (const [method, path] of GUARDED) {
  Deno.test(`${method} ${path} needs the token of an administrator`, async () => {
    await using bench = new AdminBench();
    const refusal = async (headers: Record<string, string>) => {
      const response = await bench.send({ method, path, headers });
      assert.equal(response.headers.get("content-type"), "application/problem+json");
      assert.equal(response.json.status, response.status);
      return [response.status, response.headers.get("www-authenticate")];
    };
    const invalid = [401, 'Bearer error="invalid_token"'];
    const insufficient = [403, 'Bearer error="insufficient_scope", scope="wsward:admin"'];
    assert.deepEqual(await refusal({}), [401, "Bearer"]);
    assert.deepEqual(await refusal({ Authorization: "Basic YTpi" }), [401, "Bearer"]);
    assert.deepEqual(await refusal({ Authorization: "Bearer" }), [401, "Bearer"]);
    assert.deepEqual(await refusal({ Authorization: "Bearer %%%" }), invalid);
    assert.deepEqual(await refusal({ Authorization: "Bearer expired" }), invalid);
    assert.equal((await refusal({ Authorization: "Bearer busy" }))[0], 503);
    for (
      const claims of [{}, { scope: "wsward" }, { scope: "xwsward:admin" }, { scope: { "wsward:admin": 1 } }]
    ) {
      assert.deepEqual(await refusal(bearer(claims)), insufficient);
    }
    bench.revokedUser = "alice";
    assert.deepEqual(await refusal(bearer(ADMIN)), invalid);
  });
}

for (
  const claims of [
    { scope: "wsward:admin" },
    { scope: "read wsward:admin write" },
    { scp: "wsward:admin" },
    { scp: ["read", "wsward:admin"] },
    { scope: ["wsward:admin"] },
    { scope: "read", scp: ["wsward:admin"] },
  ]
) {
  Deno.test(`the claims ${JSON.stringify(claims)} have the scope`, async () => {
    await using bench = new AdminBench();
    assert.equal((await bench.send({ path: "/sessions", headers: bearer(claims) })).status, 200);
  });
}

Deno.test("bodies are refused where none belongs, and where they are not JSON", async () => {
  await using bench = new AdminBench();
  const status = async (method: string, path: string, headers: Record<string, string>, body?: string) =>
    (await bench.send({
      method,
      path,
      headers: { ...bearer(ADMIN), ...headers },
      ...(body === undefined ? {} : { body }),
    })).status;
  assert.equal(await status("DELETE", "/bans/192.0.2.1", {}, "{}"), 400);
  assert.equal(await status("GET", "/healthz", {}, "x"), 400);
  assert.equal(await status("POST", "/bans", {}, "{}"), 415);
  assert.equal(await status("POST", "/bans", { "Content-Type": "text/plain" }, "{}"), 415);
  for (const body of ["", "{", "[]", "null", '{"address":"192.0.2.1","address":"192.0.2.2"}', "\ufeff{}"]) {
    assert.equal(await status("POST", "/bans", JSON_TYPE, body), 400, body);
  }
  const type = { "Content-Type": "Application/JSON; charset=utf-8" };
  assert.equal(await status("POST", "/bans", type, '{"address":"192.0.2.1"}'), 201);
});

Deno.test("a body is read up to its limit and not beyond, announced or not", async () => {
  await using bench = new AdminBench();
  const bodyOf = (size: number) => {
    const text = JSON.stringify({ address: "192.0.2.1" });
    return text.slice(0, -1) + " ".repeat(size - text.length) + "}";
  };
  assert.equal((await bench.call("POST", "/bans", bodyOf(MAX_BODY_SIZE))).status, 201);
  assert.equal((await bench.call("POST", "/bans", bodyOf(MAX_BODY_SIZE + 1))).status, 413);
  const unannounced = await bench.send({
    method: "POST",
    path: "/bans",
    headers: { ...bearer(ADMIN), ...JSON_TYPE, "Transfer-Encoding": "chunked" },
  });
  assert.equal(unannounced.status, 411);
});
