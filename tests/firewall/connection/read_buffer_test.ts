// The buffer that a peer is read into: its size depends on what the peer sends, and on nothing else.
import assert from "node:assert/strict";
import { large, SMALL_SIZE, TINY_SIZE } from "../../../src/firewall/connection/buffer_stock.ts";
import { ReadBuffer } from "../../../src/firewall/connection/read_buffer.ts";

/** Reads as much as there is room for, takes all but `kept` bytes of it, and looks once more after that. */
function fill(buffer: ReadBuffer, kept = 0): void {
  const room = buffer.room();
  room.fill(7);
  buffer.end += room.length;
  buffer.carry(buffer.end - kept);
  buffer.carry(buffer.start);
}

Deno.test("full reads make it larger, small ones smaller again, and looking once more does nothing", () => {
  const buffer = new ReadBuffer(0, new Uint8Array(0));
  assert.equal(buffer.room().length, TINY_SIZE);
  fill(buffer);
  assert.equal(buffer.room().length, SMALL_SIZE);
  fill(buffer, 3);
  assert.equal(buffer.bytes.length, large.sizeBytes);
  assert.deepEqual([...buffer.bytes.subarray(buffer.start, buffer.end)], [7, 7, 7]);
  for (let round = 0; round < 2; round++) {
    buffer.end += 10;
    buffer.carry(buffer.end);
  }
  assert.equal(buffer.bytes.length, TINY_SIZE);
  buffer.release();
});

Deno.test("what comes with the head is kept, behind the headroom, and a rate bounds the room", () => {
  const buffer = new ReadBuffer(16, Uint8Array.of(1, 2, 3));
  assert.deepEqual([...buffer.bytes.subarray(buffer.start, buffer.end)], [1, 2, 3]);
  assert.deepEqual([buffer.start, buffer.room(7.9).length], [16, 7]);
  buffer.carry(buffer.start + 1);
  assert.deepEqual([...buffer.bytes.subarray(buffer.start, buffer.end)], [2, 3]);
  buffer.release();
});

Deno.test("when all large ones are in use, one goes on with a small one", () => {
  const taken = [];
  while (large.hasMore) taken.push(large.take());
  const buffer = new ReadBuffer(0, new Uint8Array(0));
  for (let round = 0; round < 3; round++) fill(buffer);
  assert.equal(buffer.bytes.length, SMALL_SIZE);
  for (const bytes of taken) large.giveBack(bytes);
  fill(buffer);
  assert.equal(buffer.bytes.length, large.sizeBytes);
  buffer.release();
});

Deno.test("there is room behind what is there up to half of the buffer, unless a smaller one would do", () => {
  const buffer = new ReadBuffer(16, new Uint8Array(0));
  buffer.end = buffer.start + TINY_SIZE / 2;
  assert.ok(buffer.hasRoomBehind);
  buffer.end++;
  assert.ok(!buffer.hasRoomBehind);
  buffer.end = buffer.bytes.length;
  buffer.carry(buffer.end);
  assert.equal(buffer.bytes.length, SMALL_SIZE);
  buffer.end = buffer.start + TINY_SIZE / 2;
  assert.ok(!buffer.hasRoomBehind, "half of the tiny one");
  buffer.end++;
  assert.ok(buffer.hasRoomBehind);
  buffer.release();

  const odd = new ReadBuffer(0, new Uint8Array(SMALL_SIZE + 1));
  assert.ok(!odd.hasRoomBehind, "one that was made for what came with the head");
  odd.release();
});
