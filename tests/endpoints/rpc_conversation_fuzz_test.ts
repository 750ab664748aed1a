// Random messages to JSON-RPC sessions: each is answered as documented, whatever it holds.
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Reply, SessionBench } from "./session_harness.ts";

const DOCUMENTED = new Set([-32700, -32600, -32601, -32602, -32001, -32002, -32003]);
const METHOD_NAMES = ["echo", "whoami", "digest", "validate_email", "refresh"];

const anyParams = fc.oneof(
  fc.jsonValue(),
  fc.dictionary(
    fc.constantFrom("message", "data", "algorithm", "encoding", "address", "token", "__proto__", "x"),
    fc.oneof(fc.jsonValue(), fc.constantFrom("SHA-256", "SHA-512", "utf8", "base64"), fc.emailAddress()),
  ),
);
const almostRequest = fc.record({
  jsonrpc: fc.oneof(fc.constant("2.0"), fc.jsonValue()),
  method: fc.oneof(fc.constantFrom(...METHOD_NAMES), fc.jsonValue()),
  params: anyParams,
  id: fc.oneof(fc.integer(), fc.string(), fc.jsonValue()),
}, { requiredKeys: [] });
const anyMessage = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.json(),
  almostRequest.map((request) => JSON.stringify(request)),
  fc.array(fc.oneof(almostRequest, fc.jsonValue()), { maxLength: 70 }).map((batch) => JSON.stringify(batch)),
);

function assertReply(reply: Reply): void {
  assert.equal(reply.jsonrpc, "2.0");
  const { id = assert.fail("a reply without an id") } = reply;
  assert.ok(id === null || typeof id === "string" || typeof id === "number");
  if (reply.error === undefined) assert.ok("result" in reply);
  else assert.ok(DOCUMENTED.has(reply.error.code), JSON.stringify(reply.error));
}

Deno.test("any message is answered as documented and ends no session", async () => {
  await fc.assert(
    fc.asyncProperty(anyMessage, async (message) => {
      const bench = new SessionBench();
      const alice = bench.open({}, {});
      for (const reply of await alice.exchange(message)) {
        if (Array.isArray(reply)) reply.forEach(assertReply);
        else assertReply(reply);
      }
      assert.ok(alice.session.isOpen);
      assert.deepEqual(bench.memory.of("handler.error"), []);
    }),
    { numRuns: 2000 },
  );
});
