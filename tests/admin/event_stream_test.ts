// Streams of log records without a network: who is dropped, and when a stream ends.

import assert from "node:assert/strict";
import { EventFeed, MAX_RECORDS } from "../../src/admin/event_feed.ts";
import { EventStreams, MAX_WAITING_RECORDS } from "../../src/admin/event_stream.ts";

Deno.test("drops a reader that does not keep up, and lets go of what waited for it", async () => {
  const feed = new EventFeed();
  const streams = new EventStreams(feed);
  const slow = streams.open(0, () => true)!.getReader();
  // One place is taken by the comment that every stream begins with.
  for (let i = 1; i < MAX_WAITING_RECORDS - 1; i++) feed.record("server.stopped", {});
  assert.equal(streams.size, 1);
  feed.record("server.stopped", {});
  assert.equal(streams.size, 0);
  await assert.rejects(slow.read(), /keep up/);
  feed.record("server.stopped", {});
});

Deno.test("a reader that comes late gets the kept records at once and is not dropped for them", () => {
  const feed = new EventFeed();
  for (let i = 0; i < MAX_RECORDS * 2; i++) feed.record("server.stopped", {});
  const streams = new EventStreams(feed);
  streams.open(0, () => true);
  feed.record("server.stopped", {});
  assert.equal(streams.size, 1);
  streams.close();
  assert.equal(streams.size, 0);
});

Deno.test("a stream ends when its reader may not read any more", async () => {
  const streams = new EventStreams(new EventFeed(), 1);
  let questions = 0;
  const text = await new Response(streams.open(0, () => ++questions < 3)).text();
  assert.deepEqual([text, streams.size], [":\n\n".repeat(3), 0]);
});

Deno.test("a reader that leaves is forgotten", async () => {
  const feed = new EventFeed();
  const streams = new EventStreams(feed);
  await streams.open(0, () => true)!.cancel();
  assert.equal(streams.size, 0);
  feed.record("server.stopped", {});
});

Deno.test("counts records by level and numbers them", () => {
  const feed = new EventFeed();
  const seen: string[] = [];
  const log = feed.tee((event) => seen.push(event), (fault) => assert.fail(String(fault)));
  log("server.stopped");
  log("handler.error", {});
  assert.deepEqual(seen, ["server.stopped", "handler.error"]);
  assert.deepEqual(feed.counts, { debug: 0, info: 1, warning: 0, error: 1, fatal: 0 });
  assert.deepEqual(feed.recent().map(({ id }) => id), [1, 2]);
  assert.deepEqual(feed.recent(1).map(({ id }) => id), [2]);
});
