// The reader of RESP3 replies: every form, byte by byte, within limits.

import assert from "node:assert/strict";
import { RedisError, type Reply, ReplyFormatError, ReplyReader } from "../../src/redis/reply_reader.ts";
import { encodeCommands } from "../../src/redis/command.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** All that a reader tells of bytes that come in pieces of a size. */
function read(text: string, pieceSize: number, limits?: ConstructorParameters<typeof ReplyReader>[2]) {
  const replies: Reply[] = [];
  const pushes: Reply[] = [];
  const reader = new ReplyReader((reply) => replies.push(reply), (items) => pushes.push(items), limits);
  const all = bytes(text);
  for (let at = 0; at < all.length; at += pieceSize) reader.feed(all.subarray(at, at + pieceSize));
  return { replies, pushes };
}

const CASES: readonly (readonly [wire: string, reply: Reply])[] = [
  ["+OK\r\n", "OK"],
  ["+\r\n", ""],
  [":-12\r\n", -12],
  ["(12345678901234567890\r\n", 12345678901234567890],
  [",1.5\r\n", 1.5],
  [",-inf\r\n", -Infinity],
  ["#t\r\n", true],
  ["#f\r\n", false],
  ["_\r\n", null],
  ["$-1\r\n", null],
  ["*-1\r\n", null],
  ["$0\r\n\r\n", ""],
  ["$6\r\nz\u00fcrich\r\n".replace("$6", "$7"), "z\u00fcrich"],
  ["$4\r\n\r\n\r\n\r\n", "\r\n\r\n"],
  ["=8\r\ntxt:text\r\n", "text"],
  ["*0\r\n", []],
  ["*2\r\n*1\r\n:1\r\n$1\r\na\r\n", [[1], "a"]],
  ["%1\r\n+a\r\n:1\r\n", ["a", 1]],
  ["~2\r\n+a\r\n+b\r\n", ["a", "b"]],
  ["|1\r\n+ttl\r\n:3\r\n+OK\r\n", "OK"],
  ["*2\r\n|1\r\n+ttl\r\n:3\r\n+a\r\n*0\r\n", ["a", []]],
];

Deno.test("reads each form of a reply, whole and byte by byte", () => {
  for (const [wire, reply] of CASES) {
    for (const size of [1, 2, 3, 1000]) {
      assert.deepEqual(read(wire + wire, size).replies, [reply, reply], `${JSON.stringify(wire)} by ${size}`);
    }
  }
});

Deno.test("tells errors and their codes", () => {
  const { replies } = read(
    "-NOSCRIPT No matching script\r\n!9\r\nOOM no no\r\n-it fails\r\n" +
      "-ERR Error running script (call to f_0123): @user_script:9: @user_script: 9: -READONLY You can't write\r\n",
    1,
  );
  assert.ok(replies.every((reply) => reply instanceof RedisError));
  assert.deepEqual(replies.map((reply) => (reply as RedisError).code), [
    "NOSCRIPT",
    "OOM",
    "ERR",
    "READONLY",
  ]);
});

Deno.test("tells what was not asked for apart from replies", () => {
  const { replies, pushes } = read(">3\r\n+message\r\n+c\r\n$1\r\nx\r\n:1\r\n", 1);
  assert.deepEqual(replies, [1]);
  assert.deepEqual(pushes, [["message", "c", "x"]]);
});

Deno.test("refuses what is not RESP3, whole and byte by byte", () => {
  const wrong = [
    "HTTP/1.1 400 Bad Request\r\n",
    "\r\n",
    "+OK\n",
    ":1e3\r\n",
    ":\r\n",
    "$x\r\n",
    "$-2\r\n",
    "*-2\r\n",
    "$?\r\n",
    "*99999999999\r\n",
    "#x\r\n",
    "_x\r\n",
    "$1\r\nabc:1\r\n",
    "*1\r\n>1\r\n+a\r\n",
    "*1\r\n".repeat(9),
    "*100001\r\n",
    "%50001\r\n",
    "$16777217\r\n",
    "+" + "a".repeat(16 * 1024),
  ];
  for (const text of wrong) {
    for (const size of [1, 1000]) {
      assert.throws(
        () => read(text, size),
        ReplyFormatError,
        `${JSON.stringify(text.slice(0, 40))} by ${size}`,
      );
    }
  }
});

Deno.test("takes as much as the limits allow, and not more", () => {
  const limits = { maxSize: 20, maxDepth: 2, maxItems: 2 };
  assert.deepEqual(read("$13\r\nabcdefghijklm\r\n", 1, limits).replies, ["abcdefghijklm"]);
  assert.throws(() => read("$14\r\nabcdefghijklmn\r\n", 1, limits), ReplyFormatError);
  assert.deepEqual(read("*1\r\n*1\r\n:1\r\n:2\r\n", 1, limits).replies, [[[1]], 2]);
  assert.throws(() => read("*1\r\n*1\r\n*1\r\n", 1, limits), ReplyFormatError);
  assert.deepEqual(read("*2\r\n:1\r\n:2\r\n", 1, limits).replies, [[1, 2]]);
  assert.throws(() => read("*3\r\n", 1, limits), ReplyFormatError);
  // A reply begins anew after each one.
  assert.equal(read(":12345\r\n".repeat(10), 3, limits).replies.length, 10);
});

Deno.test("a size that was only said costs no memory", () => {
  const limits = { maxSize: 2 ** 30, maxDepth: 2, maxItems: 2 };
  const before = Deno.memoryUsage().external;
  const readers = Array.from({ length: 50 }, () => {
    const reader = new ReplyReader(() => {}, () => {}, limits);
    reader.feed(bytes("$1000000000\r\n"));
    return reader;
  });
  assert.equal(readers.length, 50);
  assert.ok(Deno.memoryUsage().external - before < 50 * 1024 * 1024);
});

Deno.test("commands are written with the sizes of their bytes", () => {
  const written = (text: string) => new TextDecoder().decode(encodeCommands([["SET", text, 1]]));
  assert.equal(written("a"), "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n");
  for (
    const text of [
      "",
      "\u00fc",
      "\u20ac",
      "\u{1f600}",
      "\u{1f600}x\u00fc",
      "\r\n",
      "\ud800",
      "\udc00\ud800",
      "\ud800a",
    ]
  ) {
    const size = new TextEncoder().encode(text).length;
    assert.equal(/SET\r\n\$(\d+)/.exec(written(text))?.[1], String(size), JSON.stringify(text));
  }
});
