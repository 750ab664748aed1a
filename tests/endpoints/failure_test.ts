// Tests of how a caught failure is described for the log.
import assert from "node:assert/strict";
import { describeFailure } from "../../src/endpoints/failure.ts";

Deno.test("names the class of an error and what it says", () => {
  const { stack, ...said } = describeFailure(new TypeError("Cannot do it"));
  assert.deepEqual(said, { error: "TypeError", detail: "Cannot do it" });
  assert.match(stack ?? "", /failure_test\.ts:\d+:\d+/);
});

Deno.test("leaves out what a message quotes", () => {
  const quoting = [
    () => JSON.parse("secret"),
    () => JSON.parse(`{"a": secret, "b": 'secret' }`),
    () => new URL("secret"),
    () => {
      throw new Error('Cannot use "sec\nret": it\'s `secret`');
    },
  ];
  for (const quote of quoting) {
    assert.throws(quote, (error) => {
      const { detail, stack } = describeFailure(error);
      assert.doesNotMatch(detail, /secret|ret/);
      assert.doesNotMatch(stack ?? "", /secret|JSON at/);
      return true;
    });
  }
});

Deno.test("keeps 200 characters of a message and cuts the rest", () => {
  for (const [length, kept] of [[199, 199], [200, 200], [201, 200]] as const) {
    assert.equal(describeFailure(new Error("x".repeat(length))).detail.length, kept);
  }
});

Deno.test("names the type of what is thrown that is no error, and nothing of its content", () => {
  assert.deepEqual(describeFailure("secret"), { error: "string", detail: "" });
  assert.deepEqual(describeFailure(undefined), { error: "undefined", detail: "" });
  assert.deepEqual(describeFailure({ message: "secret" }), { error: "object", detail: "" });
});

Deno.test("survives an error whose message can't be read", () => {
  const hostile = Object.defineProperty(new Error(), "message", {
    get() {
      throw new Error("again");
    },
  });
  assert.deepEqual(describeFailure(hostile), { error: "Error", detail: "" });
});
