// A stock of buffers: how many it keeps, and how many may be in use.

import assert from "node:assert/strict";
import { BufferStock, large } from "../../../src/firewall/connection/buffer_stock.ts";

Deno.test("what is given back is taken again, and what there is no place for is freed at once", () => {
  const stock = new BufferStock(100, 2);
  const [first, second, third] = [stock.take(), stock.take(), stock.take()];
  for (const bytes of [first, second, third]) stock.giveBack(bytes);
  assert.deepEqual([first, second, third].map(({ byteLength }) => byteLength), [100, 100, 0]);
  assert.deepEqual(new Set([stock.take(), stock.take()]), new Set([first, second]));
  assert.equal(stock.take().length, 100);
});

Deno.test("only so many may be in use, and each that is given back makes room for another", () => {
  const stock = new BufferStock(100, 2, 3);
  const taken = [stock.take(), stock.take()];
  assert.equal(stock.hasMore, true);
  taken.push(stock.take());
  assert.equal(stock.hasMore, false);
  stock.giveBack(taken[0]!);
  assert.equal(stock.hasMore, true);
});

Deno.test("of the large ones at most 256 are in use", () => {
  const taken: Uint8Array<ArrayBuffer>[] = [];
  while (large.hasMore && taken.length < 1000) taken.push(large.take());
  assert.equal(taken.length, 256);
  for (const bytes of taken) large.giveBack(bytes);
});
