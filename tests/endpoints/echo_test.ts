// Tests of the echo endpoint on the wire.
import assert from "node:assert/strict";
import { createEchoHandler } from "../../src/endpoints/echo.ts";
import { concat, frame, OPCODE, RawClient } from "../support/raw_client.ts";
import { withEndpoint } from "./harness.ts";

Deno.test("answers text with the prefix and the message", async () => {
  const createHandler = createEchoHandler({ prefix: "Server received: " });
  await withEndpoint({ createHandler }, async ({ port }) => {
    using client = await RawClient.connect({ port });
    for (const message of ["hello", "", "ä€😀", "\ufeffmark", "line\nline\u0000"]) {
      await client.sendText(message);
      assert.equal(await client.nextText(), `Server received: ${message}`);
    }
  });
});

Deno.test("answers with the message alone when the prefix is empty", async () => {
  await withEndpoint({ createHandler: createEchoHandler({ prefix: "" }) }, async ({ port }) => {
    using client = await RawClient.connect({ port });
    await client.sendText("hello");
    assert.equal(await client.nextText(), "hello");
  });
});

Deno.test("answers binary with the same bytes and no prefix", async () => {
  const createHandler = createEchoHandler({ prefix: "Server received: " });
  await withEndpoint({ createHandler }, async ({ port }) => {
    using client = await RawClient.connect({ port });
    for (const size of [0, 1, 125, 126, 65535, 65536, 2 ** 20]) {
      const bytes = Uint8Array.from({ length: size }, (_, index) => index * 7);
      await client.sendBinary(bytes);
      assert.deepEqual(await client.nextBinary(), bytes);
    }
  });
});

Deno.test("answers messages that arrive together one by one and in order", async () => {
  await withEndpoint({ createHandler: createEchoHandler({ prefix: "> " }) }, async ({ port }) => {
    using client = await RawClient.connect({ port });
    const texts = Array.from({ length: 100 }, (_, index) => `message ${index}`);
    await client.send(concat(...texts.map((payload) => frame({ opcode: OPCODE.text, payload }))));
    for (const text of texts) assert.equal(await client.nextText(), `> ${text}`);
  });
});
