// Histograms: the range in which a value is counted, above all at the bounds.

import assert from "node:assert/strict";
import { countOf, Histogram, SizeHistogram } from "../../src/telemetry/histogram.ts";

Deno.test("a value that is a bound belongs to the range below it", () => {
  const histogram = new Histogram([1, 5]);
  for (const value of [0, 1, 1.001, 5, 5.001, 1e9]) histogram.observe(value);
  assert.deepEqual(histogram.counts, [2, 2, 2]);
  assert.equal(countOf(histogram), 6);
});

Deno.test("sizes are counted in the range that their bound names: just under, at and over each", () => {
  const { bounds } = new SizeHistogram();
  assert.deepEqual([bounds[0], bounds.at(-1)], [1, 64 * 2 ** 20]);
  for (const bound of bounds) {
    for (const size of [bound - 1, bound, bound + 1]) {
      const histogram = new SizeHistogram();
      histogram.observe(size);
      const range = bounds.findIndex((candidate) => size <= candidate);
      assert.equal(histogram.counts.indexOf(1), range < 0 ? bounds.length : range, String(size));
    }
  }
});

Deno.test("sizes from nothing to 4 GiB are counted and added up", () => {
  const histogram = new SizeHistogram();
  for (const size of [0, 1, 2 ** 32 - 1]) histogram.observe(size);
  assert.deepEqual([histogram.counts[0], histogram.counts.at(-1), histogram.sum], [2, 1, 2 ** 32]);
});
