// RFC 6455 at every boundary that it names, in one write and in pieces, served and relayed.
import assert from "node:assert/strict";
import { type Case, conformanceTable } from "../support/conformance_table.ts";
import { startHarness } from "../support/firewall_harness.ts";
import { describeFrame } from "../support/order_table.ts";
import { frame, OPCODE, RawClient } from "../support/raw_client.ts";
import { startRelay } from "../support/relay_harness.ts";

/** Bytes of each piece: none of the numbers that a length, a header or a buffer has. */
const CUTS = [Infinity, 997, 5];

async function check(port: number, { name, bytes, expect, ends }: Case, cut: number): Promise<void> {
  using client = await RawClient.connect({ port });
  const received: string[] = [];
  const sent = (async () => {
    for (let at = 0; at < bytes.length; at += cut) await client.send(bytes.subarray(at, at + cut));
    if (!ends) await client.send(frame({ opcode: OPCODE.ping, payload: "the last" }));
  })().catch((error) => {
    // The server may have ended the connection before all of it was sent.
    if (!ends) throw error;
  });
  const all = ends ? expect : [...expect, "pong the last"];
  try {
    while (received.length < all.length) received.push(describeFrame(await client.nextFrame()));
    if (ends) assert.equal((await client.eof()).length, 0, "nothing follows");
    await sent;
  } catch (cause) {
    throw new Error(`${name}, in pieces of ${cut}: ${(cause as Error).message.slice(0, 500)}`, { cause });
  }
  const isSame = received.every((one, i) => one === all[i]);
  const shown = [received, all].map((list) => list.map((one) => one.slice(0, 60)));
  assert.ok(isSame, `${name}, in pieces of ${cut}: ${JSON.stringify(shown)}`);
}

async function checkAll(port: number): Promise<void> {
  let count = 0;
  for (const one of conformanceTable()) {
    for (const cut of CUTS) {
      // Byte by byte is for what is short.
      if (one.bytes.length / cut < 2000) await check(port, one, cut);
    }
    count++;
  }
  assert.ok(count > 350, `${count} cases`);
}

Deno.test("every boundary of RFC 6455, on echo", async () => {
  const harness = startHarness();
  await checkAll(harness.port);
  await harness.stop();
});

Deno.test("every boundary of RFC 6455, through the relay in front of npm ws", async () => {
  const relay = await startRelay();
  await checkAll(relay.port);
  await relay.stop();
});
