// Lists in pages, so that no answer is larger than a page.

import { isProblem, type Problem } from "./problem.ts";
import { jsonTextResponse } from "./route.ts";

/** The most items of a page, and the default. */
export const MAX_PAGE_LENGTH = 1000;

/** A page with this many characters of JSON is full. */
export const FULL_PAGE_SIZE = 1024 * 1024;

/** The longest cursor. */
const MAX_CURSOR_LENGTH = 256;

/** How a list is paged. */
export interface PagedList<Item> {
  /** The name of the list in the answer. */
  readonly name: string;
  readonly items: readonly Item[];
  /** Gives the order of the items, which must not change as items come and go; no two have the same key. */
  readonly keyOf: (item: Item) => string;
  /** The time in a key that `timeKey` makes, for a list so long that a key for each item would take too long. */
  readonly timeOf?: (item: Item) => number;
  readonly describe: (item: Item) => unknown;
  /** Whether other nodes, which could not be asked, may have more; false if left out. */
  readonly isPartial?: boolean;
  /** The node whose items these are alone, where the others have some that nobody asks for. */
  readonly node?: string | undefined;
}

/**
 * Answers with the page that the query asks for: `limit` is the number of items, `after` the `next` of the page before.
 * The last page has no `next`. Items that come and go meanwhile shift nothing.
 */
export function pageResponse<Item>(query: URLSearchParams, list: PagedList<Item>): Response | Problem {
  const page = readPage(query);
  if (isProblem(page)) return page;
  const { name, describe, isPartial = false, node } = list;
  const first = firstItems(list, page);
  const parts: string[] = [];
  let size = 0;
  for (const { item } of first) {
    if (parts.length === page.limit || size >= FULL_PAGE_SIZE) break;
    const part = JSON.stringify(describe(item));
    size += part.length;
    parts.push(part);
  }
  const next = parts.length < first.length ? `,"next":${JSON.stringify(first[parts.length - 1]!.key)}` : "";
  const partial = isPartial ? ',"partial":true' : "";
  const place = node === undefined ? "" : `,"node":${JSON.stringify(node)}`;
  return jsonTextResponse(`{"${name}":[${parts.join(",")}]${next}${partial}${place}}`);
}

/** The page that is asked for. */
export interface Page {
  readonly limit: number;
  readonly after: string;
}

/** Reads the page that a query asks for. */
export function readPage(query: URLSearchParams): Page | Problem {
  const limit = query.get("limit") ?? String(MAX_PAGE_LENGTH);
  if (!/^\d{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > MAX_PAGE_LENGTH) {
    return { status: 400, detail: `a limit is a number from 1 to ${MAX_PAGE_LENGTH}`, field: "limit" };
  }
  const after = query.get("after") ?? "";
  if (after.length > MAX_CURSOR_LENGTH) {
    return { status: 400, detail: "this is not what a page gave as its next", field: "after" };
  }
  return { limit: Number(limit), after };
}

interface Keyed<Item> {
  readonly key: string;
  readonly item: Item;
}

/**
 * The first items after a key, one more than the limit if there are more. Sorting all of a long list would take too
 * long.
 */
function firstItems<Item>(
  { items, keyOf, timeOf }: PagedList<Item>,
  { limit, after }: Page,
): readonly Keyed<Item>[] {
  const first: Keyed<Item>[] = [];
  const fromMs = /^\d{16}-/.test(after) ? Number(after.slice(0, 16)) : 0;
  for (const item of items) {
    if (timeOf !== undefined) {
      const ms = Math.floor(timeOf(item));
      if (ms < fromMs || (first.length > limit && ms > Math.floor(timeOf(first.at(-1)!.item)))) continue;
    }
    const key = keyOf(item);
    if (key <= after || (first.length > limit && key > first.at(-1)!.key)) continue;
    let low = 0;
    // Most lists are in order already: then this ends at once.
    for (let high = first.length; low < high;) {
      const middle = high === first.length ? high - 1 : (low + high) >> 1;
      if (first[middle]!.key < key) low = middle + 1;
      else high = middle;
    }
    first.splice(low, 0, { key, item });
    if (first.length > limit + 1) first.pop();
  }
  return first;
}

/** A key that sorts items by time, in milliseconds since the Unix epoch. */
export function timeKey(ms: number, id: string): string {
  return `${String(Math.floor(ms)).padStart(16, "0")}-${id}`;
}
