// The program in front of WebSocket servers by others: tokens, headers, frames and the end.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { orderTable } from "../support/order_table.ts";
import { checkOrder, ECHO_DIALECT } from "../support/order_check.ts";
import { frame, OPCODE, RawClient } from "../support/raw_client.ts";
import { Front, makeUserToken, startForeign } from "./harness.ts";

Deno.test("with --upstream alone: a token in the header, messages, the end, and nothing else is served", async () => {
  await using foreign = await startForeign();
  await using front = new Front([foreign.url]);
  using client = await front.connect();
  await client.sendText("hello");
  assert.equal(await client.nextText(), "hello");
  await client.sendClose(4321, "enough");
  assert.deepEqual(await client.nextClose(), { code: 4321, reason: "enough" });
  await client.eof();
  assert.deepEqual(await foreign.closed(), { code: 4321, reason: "enough" });
  front.program.signal("SIGTERM");
  const { code, stdout } = await front.program.result();
  assert.equal(code, 0, front.program.stderr.text);
  assert.match(stdout, /^Listening on ws:\/\/127\.0\.0\.1:\d+\/ \(upstream\)\n$/);
});

Deno.test("without a token, or with a bad one, nothing is dialled and the client sees the status", async () => {
  await using foreign = await startForeign();
  await using front = new Front([foreign.url], ["--token-cookie", "jwt", "--insecure-token-in-query"]);
  const bad = makeUserToken({ exp: 1 });
  const origin = { Origin: `http://127.0.0.1:${await front.port()}` };
  const cases: [name: string, status: number, handshake: Parameters<RawClient["handshake"]>[0]][] = [
    ["header", 401, { headers: { Authorization: `Bearer ${bad}` } }],
    ["another scheme", 401, { headers: { Authorization: "Basic YTpi" } }],
    ["subprotocol", 401, { headers: { "Sec-WebSocket-Protocol": `bearer.${bad}` } }],
    ["no token, but subprotocols", 401, { headers: { "Sec-WebSocket-Protocol": "chat" } }],
    ["cookie", 401, { headers: { Cookie: `jwt=${bad}`, ...origin } }],
    ["cookie without an Origin", 403, { headers: { Cookie: `jwt=${makeUserToken()}` } }],
    ["cookie of another site", 403, {
      headers: { Cookie: `jwt=${makeUserToken()}`, Origin: "https://evil.example" },
    }],
    ["query", 401, { target: `/?token=${bad}` }],
    ["two ways", 400, {
      target: `/?token=${makeUserToken()}`,
      headers: { Cookie: `jwt=${makeUserToken()}`, ...origin },
    }],
  ];
  for (const [name, status, handshake] of cases) {
    const answer = await front.ask(handshake, "");
    assert.equal(answer.status, status, `${name}: ${answer.body}`);
  }
  assert.equal(foreign.requests.length, 0);
});

Deno.test("a token crosses in none of its five ways, unless it is asked to", async () => {
  await using foreign = await startForeign({
    options: { handleProtocols: (offered: Set<string>) => offered.has("chat") ? "chat" : false },
  });
  await using front = new Front([foreign.url], ["--token-cookie", "jwt", "--insecure-token-in-query"]);
  const token = makeUserToken();
  const origin = { Origin: `http://127.0.0.1:${await front.port()}` };
  const ways: Parameters<RawClient["handshake"]>[0][] = [
    { target: "/a%20b?x=%41&y", headers: { Authorization: `Bearer ${token}` } },
    { target: "/a%20b?x=%41&y", headers: { "Sec-WebSocket-Protocol": `bearer.${token}, chat` } },
    { target: "/a%20b?x=%41&y", headers: { Cookie: `a=1; jwt=${token}; b=2`, ...origin } },
    { target: `/a%20b?x=%41&token=${token}&y` },
  ];
  for (const way of ways) {
    using client = await RawClient.connect({ port: await front.port() }, way);
    await client.sendText("x");
    assert.equal(await client.nextText(), "x");
    const { url, rawHeaders } = foreign.requests.at(-1)!;
    assert.equal(url, "/a%20b?x=%41&y");
    assert.ok(!rawHeaders.join("\n").includes(token), rawHeaders.join("\n"));
    assert.equal(foreign.requests.at(-1)!.headers["x-forwarded-user"], "alice");
  }
  assert.equal(foreign.requests[1]!.headers["sec-websocket-protocol"], "chat");
  assert.equal(foreign.requests[2]!.headers.cookie, "a=1; b=2");

  using first = await RawClient.connect({ port: await front.port() }, { target: "/first" });
  assert.equal(foreign.requests.length, 4, "nothing is dialled before the token");
  await first.sendText(token);
  assert.equal(await first.nextText(), "Authenticated!");
  await first.sendText("y");
  assert.equal(await first.nextText(), "y");
  assert.equal(foreign.requests[4]!.headers["x-forwarded-user"], "alice");

  await using forwarding = new Front([foreign.url], ["--upstream-forward-token"]);
  using forwarded = await forwarding.connect({}, token);
  await forwarded.sendText("x");
  await forwarded.nextText();
  assert.equal(foreign.requests.at(-1)!.headers.authorization, `Bearer ${token}`);
});

Deno.test("the first message: a bad token, none in time, binary, and a server that is gone", async () => {
  const foreign = await startForeign();
  await using front = new Front([foreign.url], ["--auth-timeout", "3s", "--upstream-timeout", "3s"]);
  const port = await front.port();
  const end = async (send: (client: RawClient) => Promise<void>) => {
    using client = await RawClient.connect({ port });
    await send(client);
    const frames: string[] = [];
    for (;;) {
      const { opcode, text, closeCode, closeReason } = await client.nextFrame();
      if (opcode === OPCODE.close) return [...frames, `${closeCode} ${closeReason}`];
      frames.push(text);
    }
  };
  assert.deepEqual(await end((client) => client.sendText("x.y.z")), ["Invalid Token", "3000 invalid token"]);
  assert.deepEqual(await end((client) => client.sendBinary(new Uint8Array(3))), [
    "1003 a token must be text",
  ]);
  assert.deepEqual(await end(async () => {}), ["Authentication Timeout", "3008 authentication timeout"]);
  assert.equal(foreign.requests.length, 0);
  await foreign[Symbol.asyncDispose]();
  assert.deepEqual(await end((client) => client.sendText(makeUserToken())), [
    "1011 the upstream can't be used",
  ]);
});

Deno.test("the request is made anew: what may pass, what is told, and what a client can't say", async () => {
  await using foreign = await startForeign();
  await using front = new Front([foreign.url], [
    ...[
      "--upstream-claim",
      "role=X-Role",
      "--upstream-claim",
      "n=X-N",
      "--upstream-claims-header",
      "X-Claims",
    ],
    ...["--trust-proxy", "127.0.0.1"],
  ]);
  const forged = {
    "X-Forwarded-User": "root",
    "X_Forwarded_User": "root",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Connection-Id": "1",
    "X-Role": "root",
    "x-role": "root",
    "X_Role": "root",
    "X-N": "root",
    "X-Claims": "root",
    "X-Real-IP": "6.6.6.6",
    "Forwarded": "for=6.6.6.6",
    "Connection": "Upgrade, X-Forwarded-User, close",
    "Keep-Alive": "timeout=5",
    "TE": "trailers",
    "Proxy-Authorization": "Basic x",
    "Sec-WebSocket-Extensions": "permessage-deflate",
  };
  const user = "ali%\u00e9";
  const token = makeUserToken({ user_id: user, role: "a b\r\nX-Evil: 1\ud83d\ude00", n: [1, "z"] });
  const lines = [
    "GET /p?q=1 HTTP/1.1",
    "Host: localhost:1",
    "Upgrade: websocket",
    ...Object.entries(forged).map(([name, value]) => `${name}: ${value}`),
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    `Authorization: Bearer ${token}`,
    "X-Forwarded-For: 9.9.9.9, 203.0.113.7",
    "Origin: http://localhost:1",
    "User-Agent: a test",
    "Accept-Language: en",
    "Cookie: a=1",
    "traceparent: 00-1",
    "tracestate: s=1",
    "X-Other: 1",
  ];
  using client = await RawClient.open({ port: await front.port() });
  const { status, headers } = await client.handshake({ head: `${lines.join("\r\n")}\r\n\r\n` });
  assert.equal(status, 101);
  assert.equal(headers.get("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  assert.equal(headers.get("sec-websocket-extensions"), null);
  const { rawHeaders, url } = foreign.requests[0]!;
  assert.equal(url, "/p?q=1");
  const seen = new Map<string, string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    assert.ok(!seen.has(rawHeaders[i]!), `${rawHeaders[i]} twice`);
    seen.set(rawHeaders[i]!, rawHeaders[i + 1]!);
  }
  const id = seen.get("X-Connection-Id")!;
  assert.match(id, /^[0-9a-z]+-[0-9a-z]+$/);
  const claims = JSON.parse(new TextDecoder().decode(
    Uint8Array.fromBase64(seen.get("X-Claims")!, { alphabet: "base64url" }),
  ));
  assert.equal(claims.user_id, user);
  assert.deepEqual(Object.fromEntries(seen), {
    "Host": "localhost:1",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Origin": "http://localhost:1",
    "User-Agent": "a test",
    "Accept-Language": "en",
    "traceparent": "00-1",
    "tracestate": "s=1",
    "Cookie": "a=1",
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "localhost:1",
    "X-Connection-Id": id,
    "X-Forwarded-User": "ali%25%C3%A9",
    "X-Role": "a%20b%0D%0AX-Evil:%201%F0%9F%98%80",
    "X-N": '[1,"z"]',
    "X-Claims": seen.get("X-Claims"),
  });
  const huge = makeUserToken({ role: "x".repeat(4000) });
  assert.equal(
    (await front.ask({}, huge)).status,
    403,
    "four thousand, and a third more in X-Claims",
  );
});

Deno.test("without tokens: everybody crosses, and nobody is anybody", async () => {
  await using foreign = await startForeign();
  await using front = new Front([foreign.url], ["--upstream-auth", "none"]);
  using client = await RawClient.connect({ port: await front.port() }, {
    target: "/?token=mine",
    headers: { "X-Forwarded-User": "root", "X-Role": "root", Authorization: "Bearer x", Cookie: "a=1" },
  });
  await client.sendText("hi");
  assert.equal(await client.nextText(), "hi");
  const { headers, url } = foreign.requests[0]!;
  assert.equal(url, "/?token=mine");
  assert.equal(headers.cookie, "a=1");
  for (const name of ["x-forwarded-user", "x-role", "authorization"]) assert.equal(headers[name], undefined);
  assert.ok(!existsSync(`${front.folder}/wsward.key.new`));
});

Deno.test("paths: exact, prefixes, and what only looks like one", async () => {
  await using foreign = await startForeign();
  await using front = new Front([foreign.url], [
    ...["--upstream-path", "/exact", "--upstream-path", "/app/*", "--ban-after", "off"],
  ]);
  const cases: [target: string, status: number][] = [
    ["/exact", 101],
    ["/exact?a=/../b", 101],
    ["/exact/", 404],
    ["/Exact", 404],
    ["/", 404],
    ["/app", 404],
    ["/app/", 101],
    ["/app/x/y.z/..a", 101],
    ["/app/../admin", 404],
    ["/app/..", 404],
    ["/app/./x", 404],
    ["/app/%2e%2e/admin", 404],
    ["/app/.%2E/admin", 404],
    ["/app/..%2fadmin", 404],
    ["/app/..;/admin", 404],
    ["/app/..\\admin", 404],
    ["/app/x%00", 404],
    ["http://localhost/app/../admin", 404],
  ];
  for (const [target, status] of cases) {
    assert.equal((await front.ask({ target })).status, status, target);
  }
  assert.deepEqual(foreign.requests.map(({ url }) => url), [
    "/exact",
    "/exact?a=/../b",
    "/app/",
    "/app/x/y.z/..a",
  ]);
});

Deno.test("over a Unix socket", async () => {
  const folder = Deno.makeTempDirSync();
  await using foreign = await startForeign({ listen: `${folder}/ws.sock` });
  const permissions = [
    `--allow-read=${folder}`,
    `--allow-write=${folder}`,
    `--allow-net=unix:${folder}/ws.sock`,
  ];
  await using front = new Front([foreign.url], [], { permissions });
  using client = await front.connect();
  await client.sendText("hello");
  assert.equal(await client.nextText(), "hello");
  client.close();
  assert.equal((await foreign.closed()).code, 1001);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("Pings go to both sides, and no Pong crosses that was not asked for from there", async () => {
  const pings: string[] = [];
  const pongs: string[] = [];
  await using foreign = await startForeign({
    onConnection(socket) {
      socket.on("ping", (data) => pings.push(new TextDecoder().decode(data)));
      socket.on("pong", (data) => pongs.push(new TextDecoder().decode(data)));
      socket.on("message", () => {
        socket.ping("theirs");
        socket.send("asked");
      });
    },
  });
  await using front = new Front([foreign.url], ["--ping-interval", "200ms"]);
  using client = await front.connect();
  // Ours, twice, answered as a client must.
  for (let i = 0; i < 2; i++) {
    const { opcode, payload } = await client.nextFrame("a Ping of ours");
    assert.equal(opcode, OPCODE.ping);
    assert.equal(payload.length, 8);
    await client.sendFrame({ opcode: OPCODE.pong, payload });
  }
  await client.sendFrame({ opcode: OPCODE.ping, payload: "mine" });
  await client.sendText("now");
  const seen: string[] = [];
  while (!seen.includes("1 asked") || !seen.includes("10 mine")) {
    const { opcode, text, payload } = await client.nextFrame();
    if (opcode === OPCODE.ping && text === "theirs") await client.sendFrame({ opcode: OPCODE.pong, payload });
    if (payload.length !== 8) seen.push(`${opcode} ${text}`);
  }
  assert.deepEqual(seen.filter((frame) => frame !== "9 theirs").sort(), ["1 asked", "10 mine"]);
  await client.sendClose(1000);
  await foreign.closed();
  assert.deepEqual(pongs, ["theirs"]);
  assert.equal(pings.filter((data) => data === "mine").length, 1);
  assert.ok(pings.some((data) => data !== "mine"), "the server is pinged too");
});

Deno.test("order through the program, in front of npm ws", async () => {
  await using foreign = await startForeign();
  await using front = new Front([foreign.url], ["--ban-after", "off", "--handshake-rate", "unlimited"]);
  assert.ok(orderTable(ECHO_DIALECT).length >= 40);
  await checkOrder(ECHO_DIALECT, () => front.connect());
});

Deno.test("order through the program, with the token as the first message in the same write", async () => {
  await using foreign = await startForeign();
  await using front = new Front([foreign.url], ["--ban-after", "off", "--handshake-rate", "unlimited"]);
  const port = await front.port();
  await checkOrder(ECHO_DIALECT, () => RawClient.connect({ port }), {
    bytes: frame({ opcode: OPCODE.text, payload: makeUserToken() }),
    answers: ["text Authenticated!"],
  });
});
