// Tests of how a session speaks: JSON-RPC 2.0 envelopes, batches, notifications, failures and abuse; and plain text.
import assert from "node:assert/strict";
import {
  DEFAULT_MAX_MESSAGE_SIZE,
  ERROR_WINDOW_MS,
  MAX_ERRORS,
  type RpcOptions,
} from "../../src/endpoints/secure/rpc_conversation.ts";
import { MAX_BATCH_LENGTH, MESSAGE_LIMITS } from "../../src/endpoints/secure/json_rpc.ts";
import type { Method } from "../../src/endpoints/secure/methods/method.ts";
import { METHODS } from "../../src/endpoints/secure/methods/list.ts";
import { type OpenSession, type Reply, SessionBench } from "./session_harness.ts";

function open(): { bench: SessionBench; alice: OpenSession } {
  const bench = new SessionBench();
  return { bench, alice: bench.open({}, {}) };
}

const ECHO = { jsonrpc: "2.0", method: "echo", params: { message: "hi" } };

Deno.test("a request is answered with its id, of whatever kind", async () => {
  const { alice } = open();
  for (const id of [1, -1.5, "", "a", null]) {
    assert.deepEqual(await alice.exchange(JSON.stringify({ ...ECHO, id })), [
      { jsonrpc: "2.0", result: { message: "hi" }, id },
    ]);
  }
});

const UNREADABLE = ["", "{", "hello", "{'a':1}", "\u0000", '{"jsonrpc":"2.0",}', "NaN", "[1,"];

for (const text of UNREADABLE) {
  Deno.test(`answers ${JSON.stringify(text)} with a parse error`, async () => {
    const { alice } = open();
    assert.deepEqual(await alice.exchange(text), [{
      jsonrpc: "2.0",
      error: { code: -32700, message: "Parse error", data: { reason: "a message must be JSON" } },
      id: null,
    }]);
    assert.ok(alice.session.isOpen);
  });
}

Deno.test("answers a binary message with a parse error", async () => {
  const { alice } = open();
  const [reply] = await alice.exchange(new TextEncoder().encode(JSON.stringify({ ...ECHO, id: 1 })).buffer);
  assert.equal((reply as Reply).error?.code, -32700);
  assert.ok(alice.session.isOpen);
});

const INVALID: readonly [request: string, path: string | undefined, id?: unknown][] = [
  ["null", undefined],
  ["1", undefined],
  ['"echo"', undefined],
  ["true", undefined],
  ["{}", "jsonrpc"],
  ['{"jsonrpc":"2.0","id":7}', "method", 7],
  ['{"jsonrpc":"1.0","method":"echo","id":7}', "jsonrpc", 7],
  ['{"jsonrpc":2.0,"method":"echo","id":"x"}', "jsonrpc", "x"],
  ['{"jsonrpc":"2.0","method":5,"id":7}', "method", 7],
  ['{"jsonrpc":"2.0","method":null}', "method"],
  ['{"jsonrpc":"2.0","method":"echo","params":"x","id":7}', "params", 7],
  ['{"jsonrpc":"2.0","method":"echo","params":null,"id":7}', "params", 7],
  ['{"jsonrpc":"2.0","method":"echo","params":0,"id":7}', "params", 7],
  ['{"jsonrpc":"2.0","method":"echo","id":{}}', "id"],
  ['{"jsonrpc":"2.0","method":"echo","id":[1]}', "id"],
  ['{"jsonrpc":"2.0","method":"echo","id":true}', "id"],
  ['{"jsonrpc":"2.0","method":"echo","id":7,"extra":1}', "extra", 7],
  ['{"jsonrpc":"2.0","method":"echo","id":7,"__proto__":{}}', "__proto__", 7],
  // Of the peer's own words only the beginning comes back.
  [`{"jsonrpc":"2.0","method":"echo","id":7,"${"x".repeat(128)}":1}`, "x".repeat(128), 7],
  [`{"jsonrpc":"2.0","method":"echo","id":7,"${"x".repeat(129)}":1}`, "x".repeat(128), 7],
];

for (const [request, path, id = null] of INVALID) {
  Deno.test(`answers ${request} with an invalid request at ${path ?? "the whole"}`, async () => {
    const { alice } = open();
    const data = path === undefined ? { reason: "a request must be an object" } : { path };
    const error = { code: -32600, message: "Invalid Request", data };
    assert.deepEqual(await alice.exchange(request), [{ jsonrpc: "2.0", error, id }]);
    assert.deepEqual(await alice.exchange(`[${request}]`), [[{ jsonrpc: "2.0", error, id }]]);
  });
}

const UNREAD: readonly [text: string, reason: string][] = [
  [`${"[".repeat(30_000)}${"]".repeat(30_000)}`, "nested too deeply"],
  [
    `{"jsonrpc":"2.0","method":"echo","id":1,"params":{"message":${"[".repeat(31)}${"]".repeat(31)}}}`,
    "nested too deeply",
  ],
  [`[${"0,".repeat(MESSAGE_LIMITS.maxValues)}0]`, "too many values"],
  [`{${Array.from({ length: MESSAGE_LIMITS.maxNames + 1 }, (_, i) => `"${i}":0`)}}`, "too many names"],
  ['{"jsonrpc":"2.0","method":"echo","method":"logout"}', "a name occurs twice"],
];

for (const [text, reason] of UNREAD) {
  Deno.test(`${text.slice(0, 60)} is not read: ${reason}`, async () => {
    const { alice } = open();
    const error = { code: -32700, message: "Parse error", data: { reason } };
    assert.deepEqual(await alice.exchange(text), [{ jsonrpc: "2.0", error, id: null }]);
  });
}

/** The text of a request, or of a batch of it, with as much white space as makes it `size` bytes. */
function padded(size: number, text = JSON.stringify({ ...ECHO, id: 1 })): string {
  return text + " ".repeat(size - new TextEncoder().encode(text).length);
}

for (const maxMessageSize of [DEFAULT_MAX_MESSAGE_SIZE, 16 * 1024]) {
  Deno.test(`a message has at most ${maxMessageSize} bytes`, async () => {
    const alice = new SessionBench().open({}, { maxMessageSize });
    const accented = JSON.stringify({ ...ECHO, id: 1, params: { message: "\u00e4\u{1f600}" } });
    for (const size of [maxMessageSize - 1, maxMessageSize]) {
      for (const text of [padded(size), padded(size, accented)]) {
        assert.ok("result" in (await alice.exchange(text))[0]!);
      }
    }
    for (const text of [padded(maxMessageSize + 1), padded(maxMessageSize + 1, accented)]) {
      const data = { reason: `a message may have at most ${maxMessageSize} bytes` };
      assert.deepEqual(await alice.exchange(text), [
        { jsonrpc: "2.0", error: { code: -32600, message: "Invalid Request", data }, id: null },
      ]);
    }
    assert.ok(alice.session.isOpen);
  });
}

Deno.test("a number comes back as the id that it was, digit by digit", async () => {
  const { alice } = open();
  const ids = [
    "9007199254740993",
    "-0",
    "1.0",
    "1e2",
    "1E400",
    "0.1000000000000000055511151231257827",
    "12345678901234567890",
  ];
  for (const id of ids) {
    for (const method of ["whoami", "nothing", 5]) {
      await alice.session.message(`{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)}}`);
      const sent = String(alice.peer.sent.at(-1));
      assert.equal(sent.slice(sent.lastIndexOf(",")), `,"id":${id}}`);
    }
  }
});

Deno.test("a string comes back as the id that it was", async () => {
  const { alice } = open();
  for (const id of ["", "9007199254740993", "\ud800", '\u0000\u2028"', "__proto__"]) {
    assert.equal((await alice.exchange(JSON.stringify({ ...ECHO, id })) as Reply[])[0]!.id, id);
  }
});

for (const method of ["nothing", "", "ECHO", "rpc.discover", "__proto__", "constructor", "toString"]) {
  Deno.test(`there is no method ${JSON.stringify(method)}`, async () => {
    const { error } = await open().alice.call(method);
    assert.deepEqual(error, { code: -32601, message: "Method not found", data: { path: "method" } });
  });
}

Deno.test("a notification is never answered, whatever is wrong with it, but is carried out", async () => {
  const { alice } = open();
  for (const method of ["echo", "whoami", "nothing"]) {
    assert.deepEqual(await alice.exchange(JSON.stringify({ jsonrpc: "2.0", method, params: { x: 1 } })), []);
  }
  assert.deepEqual(await alice.exchange(JSON.stringify([ECHO, ECHO])), []);
  assert.deepEqual(await alice.exchange('{"jsonrpc":"2.0","method":"logout"}'), []);
  assert.equal(alice.peer.closed?.code, 1000);
});

Deno.test("a batch is answered in one message, in order and without its notifications", async () => {
  const { alice } = open();
  const replies = await alice.exchange(JSON.stringify([
    { ...ECHO, id: 1 },
    ECHO,
    5,
    { jsonrpc: "2.0", method: "nothing", id: "two" },
    { jsonrpc: "2.0", method: "digest", params: { data: "" }, id: 3 },
  ]));
  assert.equal(replies.length, 1);
  const batch = replies[0] as Reply[];
  assert.deepEqual(batch.map(({ id, error }) => [id, error?.code]), [
    [1, undefined],
    [null, -32600],
    ["two", -32601],
    [3, undefined],
  ]);
});

for (const length of [0, 1, MAX_BATCH_LENGTH, MAX_BATCH_LENGTH + 1]) {
  Deno.test(`a batch of ${length}`, async () => {
    const { alice } = open();
    const [reply] = await alice.exchange(JSON.stringify(Array(length).fill({ ...ECHO, id: 1 })));
    if (length >= 1 && length <= MAX_BATCH_LENGTH) assert.equal((reply as Reply[]).length, length);
    else assert.deepEqual([(reply as Reply).error?.code, (reply as Reply).id], [-32600, null]);
  });
}

Deno.test("each request of a batch counts as a message, whatever becomes of it", async () => {
  const { alice } = open();
  const calls = Array(MAX_BATCH_LENGTH).fill({ ...ECHO, id: 1 });
  const counts: number[] = [];
  for (const batch of [calls, [ECHO, 5, {}], [ECHO], ECHO, [...calls, ECHO], []]) {
    alice.peer.charged = 0;
    await alice.exchange(JSON.stringify(batch));
    counts.push(alice.peer.charged);
  }
  assert.deepEqual(counts, [MAX_BATCH_LENGTH - 1, 2, 0, 0, 0, 0]);
});

Deno.test("a logout in a batch takes effect when the whole batch has been answered", async () => {
  const { alice } = open();
  const [batch] = await alice.exchange(JSON.stringify([
    { jsonrpc: "2.0", method: "logout", id: 1 },
    { ...ECHO, id: 2 },
  ]));
  assert.deepEqual((batch as Reply[]).map(({ id }) => id), [1, 2]);
  assert.equal(alice.peer.closed?.code, 1000);
});

Deno.test("a batch goes no further than its session, and what was answered of it is dropped", async () => {
  const bench = new SessionBench();
  const calls: unknown[] = [];
  const end: Method = {
    name: "end",
    async call() {
      await Promise.resolve();
      bench.sessions.revoke({ kind: "user", value: "alice", ttlMs: 1000 });
      return { result: null };
    },
  };
  const count: Method = { name: "count", call: (params) => ({ result: calls.push(params) }) };
  const alice = bench.open({}, { methods: [end, count] });
  await alice.session.message(JSON.stringify(
    ["count", "end", "count", "count"].map((method, id) => ({ jsonrpc: "2.0", method, id })),
  ));
  assert.equal(calls.length, 1);
  assert.deepEqual(alice.peer.sent.map((sent) => JSON.parse(String(sent)).method), ["session_ended"]);
});

/** A session whose `whoami` is about `size` bytes long. */
function openLarge(size: number, rpc: Partial<RpcOptions> = {}): OpenSession {
  return new SessionBench().open({ padding: "x".repeat(size) }, rpc);
}

Deno.test("a batch is answered in twice the bytes of a message, and what is over is not carried out", async () => {
  const alice = openLarge(5700);
  const requests = Array.from(
    { length: MAX_BATCH_LENGTH },
    (_, id) => ({ jsonrpc: "2.0", id, method: "whoami" }),
  );
  const [batch] = await alice.exchange(JSON.stringify([...requests.slice(1), { ...ECHO, id: "last" }]));
  const answered = (batch as Reply[]).filter(({ result }) => result !== undefined).length;
  assert.ok(answered > 15 && answered < 23, `${answered} were answered`);
  const errors = (batch as Reply[]).slice(answered);
  assert.equal(answered + errors.length, MAX_BATCH_LENGTH);
  assert.ok(errors.every(({ error }) => error?.code === -32003));
  // The errors themselves, one for each request.
  assert.ok(String(alice.peer.sent[0]).length < 2 * DEFAULT_MAX_MESSAGE_SIZE + MAX_BATCH_LENGTH * 100);
  assert.ok(alice.session.isOpen);
});

Deno.test("a reply is as large as it may be, and no larger", async () => {
  const maxMessageSize = 16 * 1024;
  const size = async (padding: number) => {
    const alice = openLarge(padding, { maxMessageSize });
    const reply = await alice.call("whoami");
    return reply.error?.code ?? String(alice.peer.sent[0]).length;
  };
  const rest = await size(0) as number;
  assert.equal(await size(2 * maxMessageSize - rest - 1), 2 * maxMessageSize - 1);
  assert.equal(await size(2 * maxMessageSize - rest), 2 * maxMessageSize);
  assert.equal(await size(2 * maxMessageSize - rest + 1), -32003);
});

Deno.test("a full reply stops what it could not tell of, but no notification", async () => {
  const called: string[] = [];
  const method = (name: string, result: string): Method => ({
    name,
    call() {
      called.push(name);
      return { result };
    },
  });
  const methods = [method("large", "x".repeat(200_000)), method("small", "")];
  const alice = new SessionBench().open({}, { methods });
  const [batch] = await alice.exchange(
    JSON.stringify([
      { jsonrpc: "2.0", method: "large", id: 1 },
      { jsonrpc: "2.0", method: "small", id: 2 },
      { jsonrpc: "2.0", method: "small" },
    ]),
  );
  assert.deepEqual((batch as Reply[]).map(({ id, error }) => [id, error?.code]), [[1, -32003], [2, -32003]]);
  assert.deepEqual(called, ["large", "small"]);
});

Deno.test("what arrives after the server's Close is not looked at, and is no abuse", async () => {
  const { bench, alice } = open();
  alice.peer.close(1013, "try again later");
  for (let count = 0; count <= MAX_ERRORS; count++) await alice.exchange("{");
  alice.session.close(1013);
  assert.equal(bench.memory.of("session.closed")[0]?.["reason"], undefined);
});

/** Sends a batch of which the first request waits, ends the session meanwhile, and returns what was called. */
async function endAmidBatch(end: (bench: SessionBench, alice: OpenSession) => void): Promise<string[]> {
  const called: string[] = [];
  const begun = Promise.withResolvers<void>();
  const waiting = Promise.withResolvers<void>();
  const methods: Method[] = [{
    name: "waits",
    async call() {
      called.push("waits");
      begun.resolve();
      await waiting.promise;
      return { result: "late" };
    },
  }, {
    name: "next",
    call() {
      called.push("next");
      return { result: "never" };
    },
  }];
  const bench = new SessionBench();
  const alice = bench.open({ jti: "one", expires: bench.clock.now() + 60_000 }, { methods });
  const batch = ["waits", "next"].flatMap((
    method,
  ) => [{ jsonrpc: "2.0", method, id: 1 }, { jsonrpc: "2.0", method: "next" }]);
  const answered = alice.session.message(JSON.stringify(batch));
  await begun.promise;
  end(bench, alice);
  const sent = alice.peer.sent.length;
  waiting.resolve();
  await answered;
  await alice.session.message(JSON.stringify({ jsonrpc: "2.0", method: "next", id: 2 }));
  assert.equal(alice.peer.sent.length, sent, "nothing is sent after the end");
  assert.ok(!alice.session.isOpen);
  return called;
}

const ENDS: Readonly<Record<string, (bench: SessionBench, alice: OpenSession) => void>> = {
  "it is revoked": ({ sessions }) => void sessions.revoke({ kind: "jti", value: "one", ttlMs: 1000 }),
  "an administrator closes it": ({ sessions }, { session }) => void sessions.close(session.id, 4000, ""),
  "its token expires": ({ clock }) => clock.advance(60_000),
  "the server closes the connection": (_bench, { peer }) => peer.close(1008, "banned"),
  "the connection is lost": (_bench, { peer, session }) => {
    peer.isOpen = false;
    session.close(1006);
  },
};

for (const [what, end] of Object.entries(ENDS)) {
  Deno.test(`nothing of a batch runs after the session's end: ${what}`, async () => {
    assert.deepEqual(await endAmidBatch(end), ["waits"]);
  });
}

Deno.test("messages are answered in the order in which they came", async () => {
  const { alice } = open();
  const ids = [1, 2, 3, 4];
  await Promise.all(ids.map((id) => alice.session.message(JSON.stringify({ ...ECHO, id }))));
  assert.deepEqual(alice.peer.sent.map((sent) => JSON.parse(String(sent)).id), ids);
});

const BROKEN: readonly Method[] = [
  ...METHODS,
  {
    name: "throws",
    call() {
      throw new RangeError('Cannot read "hunter2"');
    },
  },
  { name: "rejects", call: () => Promise.reject(new RangeError('Cannot read "hunter2"')) },
  { name: "cannot_be_json", call: () => ({ result: 1n }) },
];

for (const name of ["throws", "rejects", "cannot_be_json"]) {
  Deno.test(`a method that ${name} costs its own reply only`, async () => {
    const bench = new SessionBench();
    const alice = bench.open({}, { methods: BROKEN });
    assert.deepEqual(await alice.call(name), {
      jsonrpc: "2.0",
      error: { code: -32603, message: "Internal error" },
      id: 1,
    });
    const [record] = bench.memory.of("handler.error");
    assert.deepEqual([record?.["method"], record?.["session"]], [name, alice.session.id]);
    assert.ok(!JSON.stringify(record).includes("hunter2"));
    assert.ok("result" in await alice.call("echo", { message: "still here" }));
  });
}

Deno.test("failures of the server's own never count as abuse", async () => {
  const alice = new SessionBench().open({}, { methods: BROKEN });
  for (let count = 0; count <= MAX_ERRORS; count++) await alice.call("throws");
  assert.ok(alice.session.isOpen);
});

for (const errors of [MAX_ERRORS - 1, MAX_ERRORS, MAX_ERRORS + 1]) {
  Deno.test(`${errors} errors within the window`, async () => {
    const { alice } = open();
    for (let count = 0; count < errors; count++) await alice.exchange("{");
    if (errors <= MAX_ERRORS) {
      assert.ok("result" in await alice.call("whoami"));
      return;
    }
    assert.deepEqual(alice.peer.closed, { code: 1008, reason: "too many errors" });
    assert.equal(alice.peer.sent.length, errors + 1);
    assert.deepEqual(JSON.parse(String(alice.peer.sent.at(-1))), {
      jsonrpc: "2.0",
      method: "session_ended",
      params: { reason: "Too Many Errors" },
    });
  });
}

Deno.test("errors in batches and in notifications count one by one", async () => {
  const { alice } = open();
  const wrong = JSON.stringify(Array(50).fill({ jsonrpc: "2.0", method: "nothing" }));
  for (let batch = 0; batch < 2; batch++) await alice.exchange(wrong);
  assert.ok(alice.session.isOpen);
  await alice.exchange("[1]");
  assert.equal(alice.peer.closed?.code, 1008);
});

Deno.test("errors are forgotten when their window is over", async () => {
  const { bench, alice } = open();
  for (let count = 0; count < MAX_ERRORS; count++) await alice.exchange("{");
  bench.clock.advance(ERROR_WINDOW_MS);
  for (let count = 0; count < MAX_ERRORS; count++) await alice.exchange("{");
  assert.ok(alice.session.isOpen);
  bench.clock.advance(ERROR_WINDOW_MS - 1);
  await alice.exchange("{");
  assert.equal(alice.peer.closed?.code, 1008);
});

Deno.test("warns before the end, says goodbye in JSON and leaves no timer behind", () => {
  const bench = new SessionBench();
  const { clock } = bench;
  const alice = bench.open({ expires: clock.now() + 60_000 }, {});
  assert.equal(clock.pending, 2);
  clock.advance(29_999);
  assert.deepEqual(alice.peer.sent, []);
  clock.advance(1);
  clock.advance(30_000);
  assert.deepEqual(alice.peer.sent.map((sent) => JSON.parse(String(sent))), [
    {
      jsonrpc: "2.0",
      method: "token_expiring",
      params: { expires_at: new Date(clock.now()).toISOString(), expires_in: 30 },
    },
    { jsonrpc: "2.0", method: "session_ended", params: { reason: "Token Expired" } },
  ]);
  assert.deepEqual(alice.peer.closed, { code: 3000, reason: "token expired" });
  assert.equal(clock.pending, 0);
  alice.session.close(3000);
  const [closed] = bench.memory.of("session.closed");
  assert.deepEqual([closed?.["code"], closed?.["reason"]], [3000, "expired"]);
});

Deno.test("a session whose token ended while the machine was suspended ends within a minute, without a warning", () => {
  const bench = new SessionBench();
  const { clock } = bench;
  const alice = bench.open({ expires: clock.now() + 3_600_000 }, {});
  clock.advance(1000);
  clock.jump(7_200_000);
  clock.advance(60_000);
  assert.deepEqual(alice.peer.sent.map((sent) => JSON.parse(String(sent)).method), ["session_ended"]);
  assert.deepEqual(alice.peer.closed, { code: 3000, reason: "token expired" });
  alice.session.close(3000);
  const [closed] = bench.memory.of("session.closed");
  assert.equal(closed?.["duration"], 61);
  assert.equal(clock.pending, 0);
});

Deno.test("a session that is shorter than the warning is warned at once", () => {
  const bench = new SessionBench();
  const alice = bench.open({ expires: bench.clock.now() + 5000 }, {});
  bench.clock.advance(0);
  assert.deepEqual(JSON.parse(String(alice.peer.sent[0])).params.expires_in, 5);
});

Deno.test("plain text is answered as text, warned of nothing and told goodbye in words", async () => {
  const bench = new SessionBench();
  const alice = bench.open({ expires: bench.clock.now() + 60_000 });
  await alice.session.message('{"jsonrpc":"2.0","id":1,"method":"logout"}');
  bench.clock.advance(60_000);
  assert.deepEqual(alice.peer.sent, ['{"jsonrpc":"2.0","id":1,"method":"logout"}', "Token Expired"]);
});
