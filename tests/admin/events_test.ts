// Log records as an administrator sees them, listed and streamed, and those that the admin listener itself writes.

import assert from "node:assert/strict";
import { EventFeed, MAX_RECORDS } from "../../src/admin/event_feed.ts";
import { MAX_STREAMS } from "../../src/admin/event_stream.ts";
import { MOST_AT_ONCE } from "../../src/telemetry/record_brake.ts";
import { AdminBench, bearer } from "./harness.ts";

const ADMIN = { scope: "wsward:admin" };

Deno.test("shows the last records, without tokens and with everything escaped", async () => {
  await using bench = new AdminBench();
  for (let i = 0; i <= MAX_RECORDS; i++) bench.feed.record("connection.closed", { code: i });
  bench.feed.record("handler.error", { error: "eyJabc.def.ghi \u202e\n" });
  const { json, text } = await bench.call("GET", "/events");
  assert.equal(json.events.length, MAX_RECORDS);
  assert.equal(json.events[0].code, 2);
  assert.equal(json.events.at(-1).error, "[token] \u202e\n");
  assert.doesNotMatch(text, /\u202e|eyJ/);
});

Deno.test("who no longer watches is told nothing", () => {
  const feed = new EventFeed();
  const seen: number[] = [];
  const leave = feed.watch(({ id }) => seen.push(id));
  feed.record("keys.reloaded", {});
  leave();
  feed.record("keys.reloaded", {});
  assert.deepEqual(seen, [1]);
});

/** Reads a stream until the text matches. */
async function readUntil(reader: ReadableStreamDefaultReader<string>, pattern: RegExp): Promise<string> {
  let text = "";
  while (!pattern.test(text)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`Ended without ${pattern}: ${text}`);
    text += value;
  }
  return text;
}

function openStream(bench: AdminBench, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${bench.server.url}events`, {
    headers: { ...bearer(ADMIN), Accept: "text/event-stream", ...headers },
  });
}

Deno.test("streams the records that are kept and then those to come, from where a reader left off", async () => {
  await using bench = new AdminBench();
  bench.feed.record("connection.opened", { connection: "one" });
  bench.feed.record("connection.opened", { connection: "two" });
  const response = await openStream(bench, { "Last-Event-ID": "1" });
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const kept = await readUntil(reader, /two/);
  assert.doesNotMatch(kept, /one/);
  bench.feed.record("connection.opened", { connection: "three" });
  assert.match(await readUntil(reader, /three.*\n\n/), /^id: 3\ndata: \{.*"connection":"three"\}\n\n$/);
  await reader.cancel();
});

Deno.test("a stream ends with its token, before the next record", async () => {
  await using bench = new AdminBench();
  const expires = Date.now() + 300;
  const response = await openStream(bench, bearer({ ...ADMIN, expires }));
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  bench.feed.record("connection.opened", { connection: "before" });
  await readUntil(reader, /before/);
  while (Date.now() <= expires) await new Promise((resolve) => setTimeout(resolve, 10));
  bench.feed.record("connection.opened", { connection: "after" });
  assert.deepEqual(await reader.read(), { done: true, value: undefined });
});

Deno.test("a stream ends when its token is revoked, before the next record", async () => {
  await using bench = new AdminBench();
  const response = await openStream(bench);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  bench.feed.record("connection.opened", { connection: "before" });
  await readUntil(reader, /before/);
  bench.revokedUser = "alice";
  bench.feed.record("connection.opened", { connection: "after" });
  assert.deepEqual(await reader.read(), { done: true, value: undefined });
});

Deno.test("a fault in the question whether a stream may go on ends the stream, and not who wrote the record", async () => {
  let isBroken = false;
  await using bench = new AdminBench({
    isRevoked() {
      if (isBroken) throw new TypeError("planted");
      return false;
    },
  });
  const response = await openStream(bench);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  await readUntil(reader, /:/);
  isBroken = true;
  bench.feed.record("connection.opened", { connection: "after" });
  assert.deepEqual(await reader.read(), { done: true, value: undefined });
});

Deno.test("the place of a reader that leaves is free again at once", async () => {
  await using bench = new AdminBench();
  for (let i = 0; i < 3 * MAX_STREAMS; i++) {
    const response = await openStream(bench);
    assert.equal(response.status, 200, `after ${i} readers`);
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
    // A connection that is made later is accepted later, and so sees what the end of this one did.
    await bench.send({ path: "/healthz" });
  }
});

Deno.test("streams are bounded in number, and all of them end with the listener", async () => {
  const bench = new AdminBench();
  const responses: Response[] = [];
  for (let i = 0; i < MAX_STREAMS; i++) responses.push(await openStream(bench));
  const more = await openStream(bench);
  assert.equal(more.status, 503);
  await more.body?.cancel();
  const texts = responses.map((response) => response.text());
  await bench.server.stop();
  for (const text of await Promise.all(texts)) assert.match(text, /^:\n\n/);
});

Deno.test("records its refusals, a few at once, and every change with who made it", async () => {
  await using bench = new AdminBench();
  for (let i = 0; i < 30; i++) await bench.send({ path: "/status" });
  const refused = bench.feed.recent().filter(({ json }) => json.includes("admin.refused")).length;
  assert.equal(refused, MOST_AT_ONCE);
  await bench.call("POST", "/bans", { address: "192.0.2.1" });
  await bench.call("DELETE", "/bans/192.0.2.1");
  const changes = bench.feed.recent().map(({ json }) => JSON.parse(json)).filter(({ event }) =>
    event === "admin.changed"
  );
  assert.deepEqual(changes.map(({ user, detail }) => [user, detail]), [
    ["alice", "POST /bans"],
    ["alice", "DELETE /bans/192.0.2.1"],
  ]);
});

Deno.test("refusals and faults beyond a few at once are counted", async () => {
  const bench = new AdminBench({
    isRevoked: () => {
      throw new TypeError("planted");
    },
  });
  for (let i = 0; i < 40; i++) {
    assert.equal((await bench.send({ path: "/", host: "localhost:99999" })).status, 421);
    assert.equal((await bench.call("GET", "/sessions")).status, 500);
  }
  await bench[Symbol.asyncDispose]();
  const records = bench.feed.recent().map(({ json }) => JSON.parse(json));
  const refused = records.filter(({ event }) => event === "admin.refused");
  assert.deepEqual(refused.map(({ count }) => count), [...Array(MOST_AT_ONCE), 40 - MOST_AT_ONCE]);
  const faults = records.filter(({ event }) => event === "process.unhandled");
  assert.equal(faults.length, 1);
  assert.match(faults[0].error, /planted/);
  assert.match(faults[0].stack, /^at .*events_test/);
});
