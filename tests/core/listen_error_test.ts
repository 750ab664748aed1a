// Why an address can't be listened on, from real errors of this system.

import assert from "node:assert/strict";
import { describeListenError } from "../../src/core/listen_error.ts";

function reason(listen: () => Deno.TcpListener): string {
  try {
    listen().close();
  } catch (error) {
    return describeListenError(error, "192.0.2.1:80");
  }
  throw new Error("nothing is wrong with it");
}

Deno.test("what is wrong with an address is said in words, without a number of the system", () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  assert.equal(reason(() => Deno.listen({ hostname: "127.0.0.1", port })), "the address is in use");
  assert.equal(
    reason(() => Deno.listen({ hostname: "203.0.113.7", port: 0 })),
    "it is no address of this machine",
  );
  assert.match(reason(() => Deno.listen({ hostname: "no.example", port: 0 })), /^[^()]+$/);
  for (
    const [error, words] of [
      [new Deno.errors.PermissionDenied("os error 13"), /below 1024/],
      [new Deno.errors.NotCapable("net"), /run with --allow-net=192\.0\.2\.1:80$/],
    ] as const
  ) {
    assert.match(
      reason(() => {
        throw error;
      }),
      words,
    );
  }
});
