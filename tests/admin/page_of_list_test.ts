// Lists in pages: each item once and in order, whatever is added or removed, and no page above its limit.

import assert from "node:assert/strict";
import fc from "fast-check";
import { FULL_PAGE_SIZE, MAX_PAGE_LENGTH, pageResponse, timeKey } from "../../src/admin/page_of_list.ts";
import { isProblem } from "../../src/admin/problem.ts";

interface ListPage {
  readonly list: readonly string[];
  readonly next?: string;
}

async function pageOf(items: readonly string[], query: Record<string, string> = {}): Promise<ListPage> {
  const response = pageResponse(new URLSearchParams(query), {
    name: "list",
    items,
    keyOf: (item) => item,
    describe: (item) => item,
  });
  assert.ok(!isProblem(response));
  return await response.json();
}

async function allPages(items: () => readonly string[], limit: number): Promise<readonly string[]> {
  const all: string[] = [];
  for (let after = "";;) {
    const { list, next } = await pageOf(items(), { limit: String(limit), after });
    assert.ok(list.length <= limit);
    all.push(...list);
    if (next === undefined) return all;
    after = next;
  }
}

Deno.test("all pages together are the whole list in order, whatever order it is in", async () => {
  const lists = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 5 }), { maxLength: 40 });
  await fc.assert(fc.asyncProperty(lists, fc.integer({ min: 1, max: 12 }), async (items, limit) => {
    assert.deepEqual(await allPages(() => items, limit), items.toSorted((a, b) => a < b ? -1 : 1));
  }));
});

Deno.test("items that come and go between two pages neither shift nor repeat the others", async () => {
  let items = ["a", "b", "c", "d", "e", "f"];
  const { next } = await pageOf(items, { limit: "3" });
  items = ["aa", "d", "f", "g"];
  assert.deepEqual(await pageOf(items, { limit: "3", after: next! }), { list: ["d", "f", "g"] });
});

Deno.test("of a long list by time no more keys are made than the page needs, and the pages are the same", async () => {
  const count = 10 * MAX_PAGE_LENGTH;
  // Three at the same time, on two pages where one ends, and some out of order.
  const items = Array.from(
    { length: count },
    (_, i) => ({ ms: 1000 + Math.floor(i / 3) + (i % 97 === 0 ? 0.5 : 0), id: `${i}` }),
  );
  const pagesOf = async (timeOf?: (item: { ms: number }) => number) => {
    let keys = 0;
    const ids: string[] = [];
    for (let after = "";;) {
      const before = keys;
      const response = pageResponse(new URLSearchParams({ after }), {
        name: "list",
        items,
        keyOf: ({ ms, id }) => (keys++, timeKey(ms, id)),
        ...timeOf === undefined ? {} : { timeOf },
        describe: ({ id }) => id,
      });
      assert.ok(!isProblem(response));
      const { list, next } = await response.json();
      ids.push(...list);
      if (timeOf !== undefined) assert.ok(keys - before <= MAX_PAGE_LENGTH + 10, `${keys - before} keys`);
      if (next === undefined) return ids;
      after = next;
    }
  };
  assert.deepEqual(await pagesOf(({ ms }) => ms), await pagesOf());
});

Deno.test("a page has a thousand items unless it is asked for less, and says whether there are more", async () => {
  const items = Array.from({ length: MAX_PAGE_LENGTH + 1 }, (_, i) => String(i).padStart(5, "0"));
  assert.equal((await pageOf(items.slice(1))).next, undefined);
  const page = await pageOf(items);
  assert.deepEqual([page.list.length, page.next], [MAX_PAGE_LENGTH, items[MAX_PAGE_LENGTH - 1]]);
  assert.deepEqual((await pageOf(items, { after: page.next! })).list, [items[MAX_PAGE_LENGTH]]);
});

Deno.test("a page of long items ends when it is full, and has one at least", async () => {
  const items = ["a", "b", "c"].map((letter) => letter.repeat(FULL_PAGE_SIZE));
  const keyOf = (item: string) => item.slice(0, 1);
  const response = pageResponse(new URLSearchParams(), {
    name: "list",
    items,
    keyOf,
    describe: (item) => item,
  });
  assert.ok(!isProblem(response));
  const { list, next } = await response.json();
  assert.deepEqual([list.length, next], [1, "a"]);
});

for (const query of ["limit=0", "limit=-1", "limit=1001", "limit=x", "limit=", `after=${"a".repeat(257)}`]) {
  Deno.test(`refuses ?${query.slice(0, 20)}`, () => {
    const result = pageResponse(new URLSearchParams(query), {
      name: "list",
      items: [],
      keyOf: String,
      describe: String,
    });
    assert.ok(isProblem(result));
    assert.deepEqual([result.status, result.field], [400, query.split("=")[0]]);
  });
}

Deno.test("times of any length sort as numbers", () => {
  const times = [0, 9.5, 10, 1_700_000_000_000, 8_640_000_000_000_000];
  const keys = times.map((ms) => timeKey(ms, "id"));
  assert.deepEqual(keys.toSorted(), keys);
});
