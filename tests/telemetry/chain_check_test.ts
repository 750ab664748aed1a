// Which tampering with a chained log is found, and where.

import assert from "node:assert/strict";
import fc from "fast-check";
import { Chain, sealLine } from "../../src/telemetry/chain.ts";
import { type ChainCheck, checkChain } from "../../src/telemetry/chain_check.ts";

/** The lines of a sound log; the time tells their order. */
function createLines(count: number): string[] {
  const chain = new Chain();
  return Array.from({ length: count }, (_, number) => {
    const line = sealLine(JSON.stringify({ time: new Date(number).toISOString(), number }), chain.prev);
    chain.add(new TextEncoder().encode(line));
    return line;
  });
}

/** Checks files that hold these lines. */
function check(...files: string[][]): ChainCheck {
  return checkChain(
    files.map((lines, index) => ({
      name: `log.${index}`,
      bytes: new TextEncoder().encode(lines.map((line) => line + "\n").join("")),
    })),
  );
}

function assertBroken(result: ChainCheck, file: string, line: number, problem: RegExp): void {
  assert.ok(!result.ok, "it is found");
  assert.deepEqual(result.place, { file, line });
  assert.match(result.problem, problem);
}

const LINES = createLines(12);
const [FIRST, MIDDLE, LAST] = [LINES.slice(0, 4), LINES.slice(4, 8), LINES.slice(8)] as const;

Deno.test("a sound log is intact, in files of any order", () => {
  for (const order of [[FIRST, MIDDLE, LAST], [LAST, FIRST, MIDDLE], [MIDDLE, LAST, FIRST], [LINES]]) {
    const result = check(...order);
    assert.ok(result.ok, JSON.stringify(result));
    assert.deepEqual([result.records, result.isFromStart], [12, true]);
    const end = new Chain();
    end.add(new TextEncoder().encode(LINES[11]));
    assert.equal(result.last, end.prev);
  }
});

Deno.test("a log without its oldest file is intact, but not from the start", () => {
  const result = check(LAST, MIDDLE);
  assert.ok(result.ok);
  assert.equal(result.isFromStart, false);
});

Deno.test("a changed record is found at every place but the last", () => {
  for (let index = 0; index < 11; index++) {
    const changed = LINES.with(index, LINES[index]!.replace(/"number":\d+/, '"number":99'));
    assertBroken(check(changed), "log.0", index + 2, /one of the two was changed/);
  }
});

Deno.test("a removed record is found at every place but the ends", () => {
  for (let index = 1; index < 11; index++) {
    assertBroken(check(LINES.toSpliced(index, 1)), "log.0", index + 1, /does not follow line \d+/);
  }
  const file = check(FIRST, LAST);
  assertBroken(file, "log.1", 1, /does not follow line 4 of "log\.0"/);
});

Deno.test("an inserted record is named, whatever it claims to follow", () => {
  for (let index = 1; index < 11; index++) {
    const forgeries = [
      sealLine('{"number":99}', "0".repeat(63) + "1"),
      sealLine('{"number":99}', /"prev":"(\w+)"/.exec(LINES[index]!)![1]!),
      LINES[(index + 5) % 12]!,
      LINES[index - 1]!,
    ];
    for (const forgery of forgeries) {
      assertBroken(check(LINES.toSpliced(index, 0, forgery)), "log.0", index + 1, /it was inserted/);
    }
    assertBroken(check(LINES.toSpliced(index, 0, "forged")), "log.0", index + 1, /it was inserted/);
  }
});

Deno.test("a moved record is found", () => {
  for (let index = 1; index < 10; index++) {
    const swapped = LINES.with(index, LINES[index + 1]!).with(index + 1, LINES[index]!);
    assertBroken(check(swapped), "log.0", index + 1, /it was moved: its place is after/);
  }
});

Deno.test("a record of which the end was cut off is found at the end too", () => {
  for (let length = 1; length < LINES[11]!.length; length++) {
    assertBroken(check(LINES.with(11, LINES[11]!.slice(0, length))), "log.0", 12, /it is not whole/);
  }
  assert.ok(check(LINES.slice(0, 11)).ok, "what a chain can't tell");
});

Deno.test("a record that is none any more is found", () => {
  for (let index = 0; index < 11; index++) {
    const broken = LINES.with(index, LINES[index]!.replace('{"prev"', '["prev"'));
    assertBroken(check(broken), "log.0", index + 1, /not a record of this chain/);
  }
});

Deno.test("a log that was begun anew in between is found", () => {
  assertBroken(check([...LINES, ...createLines(3)]), "log.0", 13, /inserted, as a copy/);
  const other = createLines(1)[0]!.replace('"number":0', '"number":77');
  assertBroken(check([...LINES, other]), "log.0", 13, /a new chain begins here/);
});

Deno.test("an empty file and none at all are intact: there was no error yet", () => {
  for (const result of [check([]), check([], [])]) {
    assert.ok(result.ok);
    assert.equal(result.records, 0);
  }
  assert.ok(check([], LINES).ok);
});

Deno.test("one changed byte before the last line is always found", () => {
  const bytes = new TextEncoder().encode(LINES.join("\n") + "\n");
  const end = bytes.length - LINES[11]!.length - 1;
  fc.assert(
    fc.property(fc.nat(end - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = bytes.slice();
      changed[at]! ^= change;
      assert.equal(checkChain([{ name: "log", bytes: changed }]).ok, false);
    }),
  );
});

Deno.test("a torn line covers what is before it: a record there can't be changed or removed", () => {
  const chain = new Chain();
  const add = (line: string): string => {
    chain.add(new TextEncoder().encode(line));
    return line;
  };
  const record = (number: number) => add(sealLine(JSON.stringify({ time: "2026", number }), chain.prev));
  const lines = [record(0), record(1), add('{"prev":"00'), record(2), add('{"pr'), add("x"), record(3)];
  assert.ok(check(lines).ok);
  // Nothing but the hash over the torn line knows of the record before it.
  for (const before of [1, 3]) {
    const changed = lines.with(before, lines[before]!.replace(/"number":\d/, '"number":9'));
    assert.ok(!check(changed).ok, `line ${before + 1} was changed`);
    assert.ok(!check(lines.toSpliced(before, 1)).ok, `line ${before + 1} was removed`);
  }
  for (const torn of [2, 4, 5]) {
    assert.ok(!check(lines.toSpliced(torn, 1)).ok, `the torn line ${torn + 1} was removed`);
  }
});
