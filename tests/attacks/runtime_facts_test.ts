// What a stranger can do to a server on bare Deno, done to the running program: none of it may have an effect.

import assert from "node:assert/strict";
import {
  closePayload,
  concat,
  frame,
  type FrameInit,
  OPCODE,
  RawClient,
  requestHead,
} from "../support/raw_client.ts";
import { startHarness } from "../support/firewall_harness.ts";
import { type Program, startServer } from "../support/process.ts";

const MIB = 2 ** 20;

/** A step shares the program of its test, whose output goes on being read while the step runs. */
const SHARED = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false } as const;

/** Starts the program and runs the steps against its echo endpoint; then it must still serve, and end with 0. */
async function attack(
  t: Deno.TestContext,
  args: readonly string[],
  steps: Readonly<Record<string, (program: Program, port: number) => Promise<void>>>,
): Promise<void> {
  await using program = startServer(args);
  const port = await program.port("echo");
  for (const [name, run] of Object.entries(steps)) {
    await t.step({ name, ...SHARED, fn: () => run(program, port) });
  }
  await assertServes(port);
  program.signal("SIGTERM");
  const { code, stderr } = await program.result();
  assert.equal(code, 0);
  assert.doesNotMatch(stderr, /process\.unhandled|endpoint\.lost|handler\.error/);
}

async function assertServes(port: number): Promise<void> {
  using client = await RawClient.connect({ port });
  await client.sendText("still here");
  assert.equal(await client.nextText(), "Server received: still here");
}

/** Sends `bytes` again and again until the connection does not take them any more, at most `mostBytes`. */
async function flood(client: RawClient, bytes: Uint8Array, mostBytes: number): Promise<void> {
  try {
    for (let sent = 0; sent < mostBytes; sent += bytes.length) await client.send(bytes);
  } catch {
    // The server has cut the connection: that is an end as well.
  }
}

/** The first Close frame, whatever comes before it. */
async function untilClose(client: RawClient): Promise<number> {
  for (;;) {
    const { opcode, closeCode } = await client.nextFrame("a Close frame");
    if (opcode === OPCODE.close) return closeCode!;
  }
}

Deno.test("what ends or fills a bare runtime has no effect on the program", async (t) => {
  await attack(t, [
    "--max-fragments=unlimited",
    "--byte-rate=unlimited",
    "--message-rate=unlimited",
    "--handshake-rate=unlimited",
    "--handshake-timeout=1s",
    "--close-timeout=300ms",
    "--send-timeout=500ms",
    "--log-level=warning",
  ], {
    "A: endless fragments get Close 1009, and memory stays where it was": async (program, port) => {
      const fragment = frame({ opcode: OPCODE.continuation, fin: false, payload: "a".repeat(65536) });
      const run = async () => {
        using client = await RawClient.connect({ port });
        await client.send(frame({ opcode: OPCODE.text, fin: false }));
        const flooding = flood(client, fragment, 64 * MIB);
        assert.equal(await untilClose(client), 1009);
        await flooding;
      };
      // Code is compiled and buffers are made the first time.
      await run();
      const before = await program.usage();
      for (let i = 0; i < 4; i++) await run();
      const after = await program.usageUntil(
        "the descriptors",
        ({ descriptors }) => descriptors <= before.descriptors,
      );
      const grown = (after.residentBytes - before.residentBytes) / MIB;
      assert.ok(grown < 24, `256 MiB of fragments have cost ${grown.toFixed(1)} MiB`);
    },

    "C: peers that leave at any point of the handshake cost no descriptor": async (program, port) => {
      const head = new TextEncoder().encode(requestHead());
      const before = await program.usage();
      for (let round = 0; round < 20; round++) {
        await Promise.all(Array.from({ length: 20 }, async (_, i) => {
          const client = await RawClient.open({ port });
          // The whole head most of the time: between that and the 101 is where the runtime leaks.
          await client.send(i < 8 ? head.subarray(0, (round * 20 + i * 7) % head.length) : head);
          for (let turns = (round + i) % 5; turns > 0; turns--) await new Promise((r) => setTimeout(r, 0));
          client.close();
        }));
      }
      await program.usageUntil("the descriptors", ({ descriptors }) => descriptors <= before.descriptors);
    },

    "F: a peer that never reads is bounded, and cut at --send-timeout": async (program, port) => {
      const before = await program.usage();
      using client = await RawClient.connect({ port });
      const message = frame({ opcode: OPCODE.binary, payload: new Uint8Array(MIB) });
      await flood(client, message, 512 * MIB);
      await program.logged(/limit\.reached .*rule=send_timeout/);
      client.close();
      const after = await program.usageUntil(
        "the descriptors",
        ({ descriptors }) => descriptors <= before.descriptors,
      );
      const grown = (after.residentBytes - before.residentBytes) / MIB;
      assert.ok(grown < 64, `it has cost ${grown.toFixed(1)} MiB`);
    },

    "G: a peer that never answers a Close is freed after --close-timeout": async (program, port) => {
      const before = await program.usage();
      const secure = await program.port("secure");
      using byFirewall = await RawClient.connect({ port });
      await byFirewall.sendFrame({ opcode: 3 });
      assert.equal(await untilClose(byFirewall), 1002);
      using byEndpoint = await RawClient.connect({ port: secure });
      await byEndpoint.sendText("not a token");
      assert.equal(await untilClose(byEndpoint), 3000);
      // Neither answers, neither goes; both sockets stay open on this side.
      await program.usageUntil("the descriptors", ({ descriptors }) => descriptors <= before.descriptors);
      await byFirewall.eof();
      await byEndpoint.eof();
    },

    "H: no bytes, half a head and an idle keep-alive are gone after --handshake-timeout": async (
      program,
      port,
    ) => {
      const before = await program.usage();
      using silent = await RawClient.open({ port });
      using half = await RawClient.open({ port });
      await half.send(requestHead().slice(0, 60));
      using keptAlive = await RawClient.open({ port });
      await keptAlive.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n");
      assert.equal((await keptAlive.readHead()).status, 426);
      assert.equal((await silent.readHead()).status, 408);
      assert.equal((await half.readHead()).status, 408);
      // A refusal leaves a moment to read it, then none of them holds anything, though this side has not closed.
      await program.usageUntil("the descriptors", ({ descriptors }) => descriptors <= before.descriptors);
      await Promise.all([silent.eof(), half.eof(), keptAlive.eof()]);
    },
  });
});

Deno.test("B: 64 MiB of text in fragments get Close 1009 at the limit, and the process lives", async (t) => {
  await attack(t, [
    "--no-secure",
    "--max-message-size=64MiB",
    "--max-fragments=unlimited",
    "--byte-rate=unlimited",
    "--log-level=warning",
  ], {
    "one byte too much": async (_, port) => {
      using client = await RawClient.connect({ port });
      const payload = "a".repeat(MIB);
      await client.sendFrame({ opcode: OPCODE.text, fin: false, payload });
      const fragment = frame({ opcode: OPCODE.continuation, fin: false, payload });
      for (let i = 1; i < 64; i++) await client.send(fragment);
      await client.sendFrame({ opcode: OPCODE.ping, payload: "at the limit" });
      assert.equal((await client.nextFrame()).text, "at the limit");
      await client.sendFrame({ opcode: OPCODE.continuation, payload: "a" });
      assert.equal((await client.nextClose()).code, 1009);
    },
  });
});

Deno.test("C: a server that lost many peers in the handshake still drains at once", async () => {
  await using program = startServer([
    "--no-secure",
    "--handshake-rate=unlimited",
    "--max-connections-per-ip=unlimited",
    "--drain-timeout=1h",
  ]);
  const port = await program.port("echo");
  for (let round = 0; round < 5; round++) {
    await Promise.all(Array.from({ length: 20 }, async () => {
      const client = await RawClient.open({ port });
      await client.send(requestHead());
      client.close();
    }));
  }
  await assertServes(port);
  program.signal("SIGTERM");
  assert.equal((await program.result()).code, 0);
});

Deno.test("D: without descriptors the log says why, and with them the program serves again", async () => {
  await using program = startServer(["--no-secure", "--handshake-rate=unlimited"], { maxDescriptors: 64 });
  const port = await program.port("echo");
  await assertServes(port);
  // Each needs three; the rest waits in the kernel or is refused.
  const clients: RawClient[] = [];
  for (let i = 0; i < 60; i++) {
    const client = await RawClient.open({ port });
    await client.send(requestHead()).catch(() => {});
    clients.push(client);
  }
  assert.match(await program.logged(/server\.accept_failed .*/), /descriptors/);
  for (const client of clients) client.close();
  await program.logged(/server\.accepting .*/);
  await eventuallyServes(port);
  program.signal("SIGTERM");
  const { code, stderr } = await program.result();
  assert.equal(code, 0);
  assert.doesNotMatch(stderr, /process\.unhandled/);
});

Deno.test("D: without descriptors the operator is let in all the same, again and again", async () => {
  await using program = startServer([
    "--no-secure",
    "--handshake-rate=unlimited",
    "--admin-listen=127.0.0.1:0",
  ], { maxDescriptors: 96 });
  const port = await program.port("echo");
  const [, url] = await program.stdout.until(/Admin on (http:\/\/\S+)\n/);
  const clients: RawClient[] = [];
  for (let i = 0; i < 120; i++) {
    const client = await RawClient.open({ port });
    await client.send("GET / HT").catch(() => {});
    clients.push(client);
  }
  await program.logged(/server\.accept_failed .*/);
  for (let i = 0; i < 40; i++) {
    const response = await fetch(`${url}metrics`, { headers: { connection: "close" } });
    assert.equal(response.status, 200, `scrape ${i}`);
    assert.match(await response.text(), /^process_resident_memory_bytes [1-9]/m);
  }
  for (const client of clients) client.close();
  await eventuallyServes(port);
  program.signal("SIGTERM");
  const { code, stderr } = await program.result();
  assert.equal(code, 0);
  assert.doesNotMatch(stderr, /process\.unhandled/);
});

/** The private side may need a moment longer than the public one to have descriptors again. */
async function eventuallyServes(port: number): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  for (;;) {
    try {
      return await assertServes(port);
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

Deno.test("E: a handler that throws where it is made, or in a message, costs only its own connection", async () => {
  let made = 0;
  const harness = startHarness({}, (peer) => {
    if (++made === 2) throw new Error("at the start");
    return {
      message(data) {
        if (data === "fail") throw new Error("in a message");
        peer.send(data);
      },
    };
  });
  const target = { port: harness.port };
  using other = await RawClient.connect(target);
  await other.sendText("first");
  assert.equal(await other.nextText(), "first");
  using atStart = await RawClient.connect(target);
  assert.equal(await untilClose(atStart), 1011);
  using inMessage = await RawClient.connect(target);
  await inMessage.sendText("fail");
  assert.equal(await untilClose(inMessage), 1011);
  await other.sendText("unharmed");
  assert.equal(await other.nextText(), "unharmed");
  using later = await RawClient.connect(target);
  await later.sendText("served");
  assert.equal(await later.nextText(), "served");
  for (const client of [other, atStart, inMessage, later]) client.close();
  await harness.stop();
});

const continuation = (init: Partial<FrameInit> = {}) => frame({ opcode: OPCODE.continuation, ...init });
const close = (payload: Uint8Array) => frame({ opcode: OPCODE.close, payload });
const openText = frame({ opcode: OPCODE.text, fin: false, payload: "a" });

/** What must not be sent, and the code of the Close frame that answers it. */
const BROKEN: Readonly<Record<string, readonly [bytes: Uint8Array, code: number]>> = {
  "an unmasked text": [frame({ opcode: 1, payload: "a", mask: false }), 1002],
  "an unmasked Ping": [frame({ opcode: 9, mask: false }), 1002],
  "an unmasked Close": [frame({ opcode: 8, mask: false }), 1002],
  "RSV1, as if compression had been agreed": [frame({ opcode: 1, rsv: 4, payload: "a" }), 1002],
  "RSV2": [frame({ opcode: 2, rsv: 2 }), 1002],
  "RSV3": [frame({ opcode: 2, rsv: 1 }), 1002],
  "RSV1 on a control frame": [frame({ opcode: 9, rsv: 4 }), 1002],
  ...Object.fromEntries(
    [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) =>
      [`the reserved opcode ${opcode}`, [frame({ opcode }), 1002]] as const
    ),
  ),
  "a fragmented Ping": [frame({ opcode: 9, fin: false }), 1002],
  "a fragmented Close": [frame({ opcode: 8, fin: false }), 1002],
  "a Ping of 126 bytes": [frame({ opcode: 9, payload: "x".repeat(126) }), 1002],
  "a Pong of 126 bytes": [frame({ opcode: 10, payload: "x".repeat(126) }), 1002],
  "a Pong of 70000 bytes": [frame({ opcode: 10, payload: "x".repeat(70_000) }), 1002],
  "a Close of 130 bytes": [close(closePayload(1000, "x".repeat(128))), 1002],
  "5 bytes announced with 16 bits": [frame({ opcode: 1, payload: "aaaaa", lengthForm: 16 }), 1002],
  "125 bytes announced with 16 bits": [
    frame({ opcode: 2, payload: "a".repeat(125), lengthForm: 16 }),
    1002,
  ],
  "5 bytes announced with 64 bits": [frame({ opcode: 1, payload: "aaaaa", lengthForm: 64 }), 1002],
  "65535 bytes announced with 64 bits": [
    frame({ opcode: 2, payload: "a".repeat(65_535), lengthForm: 64 }),
    1002,
  ],
  "a length with the highest bit": [frame({ opcode: 2, claimedLength: 2n ** 63n }), 1002],
  "a length of 2^63 - 1": [frame({ opcode: 2, claimedLength: 2n ** 63n - 1n }), 1009],
  "a length of 2^32, which must not become 0": [frame({ opcode: 2, claimedLength: 2n ** 32n }), 1009],
  "one byte over --max-message-size, announced": [frame({ opcode: 2, claimedLength: MIB + 1 }), 1009],
  "one byte over --max-message-size in two fragments": [
    concat(
      frame({ opcode: 2, fin: false, payload: new Uint8Array(MIB) }),
      continuation({ claimedLength: 1 }),
    ),
    1009,
  ],
  "an orphan continuation": [continuation({ payload: "a" }), 1002],
  "an orphan final continuation after a message": [
    concat(frame({ opcode: 1, payload: "" }), continuation()),
    1002,
  ],
  "a new text inside a message": [concat(openText, frame({ opcode: 1, fin: false, payload: "b" })), 1002],
  "a whole binary inside a text": [concat(openText, frame({ opcode: 2, payload: "b" })), 1002],
  "text that is not UTF-8": [frame({ opcode: 1, payload: Uint8Array.of(0xff) }), 1007],
  "text with a surrogate": [frame({ opcode: 1, payload: Uint8Array.of(0xed, 0xa0, 0x80) }), 1007],
  "text in overlong form": [frame({ opcode: 1, payload: Uint8Array.of(0xc0, 0xaf) }), 1007],
  "text above U+10FFFF": [frame({ opcode: 1, payload: Uint8Array.of(0xf4, 0x90, 0x80, 0x80) }), 1007],
  "text that ends inside a code point": [frame({ opcode: 1, payload: Uint8Array.of(0xe2, 0x82) }), 1007],
  "fragmented text that ends inside a code point": [
    concat(openText, continuation({ payload: Uint8Array.of(0xe2, 0x82) })),
    1007,
  ],
  "text that is bad before it is complete": [
    frame({ opcode: 1, payload: Uint8Array.of(0x61, 0xff), claimedLength: 1000 }),
    1007,
  ],
  "a Close of one byte": [close(Uint8Array.of(3)), 1002],
  ...Object.fromEntries(
    [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map((code) =>
      [`a Close with the code ${code}`, [close(closePayload(code)), 1002]] as const
    ),
  ),
  "a Close whose reason is not UTF-8": [close(concat(closePayload(1000), Uint8Array.of(0xff))), 1007],
  "a Close whose reason ends inside a code point": [
    close(concat(closePayload(1000), Uint8Array.of(0xc3))),
    1007,
  ],
};

Deno.test("each frame that RFC 6455 forbids gets a Close frame with its code, never a bare FIN", async (t) => {
  await attack(
    t,
    ["--no-secure", "--handshake-rate=unlimited", "--log-level=fatal"],
    Object.fromEntries(
      Object.entries(BROKEN).map(([name, [bytes, code]]) => [
        `${name} gets ${code}`,
        async (_: Program, port: number) => {
          using client = await RawClient.connect({ port });
          await client.send(bytes);
          assert.equal(await untilClose(client), code);
          assert.equal((await client.eof()).length, 0);
        },
      ]),
    ),
  );
});

/** What looks odd and is allowed, and what comes back. */
const ALLOWED: Readonly<Record<string, readonly [bytes: Uint8Array, opcode: number, payload: string]>> = {
  "a Ping of 125 bytes": [frame({ opcode: 9, payload: "x".repeat(125) }), OPCODE.pong, "x".repeat(125)],
  "a Pong that nobody asked for": [
    concat(frame({ opcode: 10, payload: "p" }), frame({ opcode: 1, payload: "t" })),
    OPCODE.text,
    "t",
  ],
  "an empty text": [frame({ opcode: 1 }), OPCODE.text, ""],
  "empty fragments": [
    concat(frame({ opcode: 1, fin: false }), continuation({ fin: false }), continuation()),
    OPCODE.text,
    "",
  ],
  "a code point over three fragments": [
    concat(
      frame({ opcode: 1, fin: false, payload: Uint8Array.of(0xe2) }),
      continuation({ fin: false, payload: Uint8Array.of(0x82) }),
      continuation({ payload: Uint8Array.of(0xac) }),
    ),
    OPCODE.text,
    "\u20ac",
  ],
  "a message of 126 bytes": [frame({ opcode: 2, payload: "b".repeat(126) }), OPCODE.binary, "b".repeat(126)],
  "a mask of zeros": [
    frame({ opcode: 1, payload: "zero", mask: new Uint8Array(4) }),
    OPCODE.text,
    "zero",
  ],
};

Deno.test("each frame that RFC 6455 allows is taken as it is meant", async (t) => {
  await attack(
    t,
    ["--no-secure", "--handshake-rate=unlimited"],
    Object.fromEntries(
      Object.entries(ALLOWED).map(([name, [bytes, opcode, payload]]) => [
        name,
        async (_: Program, port: number) => {
          using client = await RawClient.connect({ port });
          await client.send(bytes);
          const next = await client.nextFrame();
          const echo = opcode === OPCODE.text ? `Server received: ${payload}` : payload;
          assert.deepEqual([next.opcode, next.fin, next.masked, next.text], [opcode, true, false, echo]);
          await client.sendClose(1000);
          assert.equal((await client.nextClose()).code, 1000);
          assert.equal((await client.eof()).length, 0);
        },
      ]),
    ),
  );
});

Deno.test("a Close is answered once with its own code, and what follows it is ignored", async (t) => {
  await attack(t, ["--no-secure", "--handshake-rate=unlimited"], {
    "each code that may be sent comes back": async (_, port) => {
      for (const code of [1000, 1001, 1002, 1003, 1007, 1010, 1014, 3000, 3999, 4000, 4999]) {
        using client = await RawClient.connect({ port });
        await client.send(concat(
          close(closePayload(code, "r".repeat(123))),
          frame({ opcode: OPCODE.text, payload: "after" }),
          close(closePayload(1000)),
          frame({ opcode: 3 }),
        ));
        assert.equal((await client.nextClose()).code, code);
        assert.equal((await client.eof()).length, 0);
      }
    },
    "an empty one is answered without a code that may not be sent": async (_, port) => {
      using client = await RawClient.connect({ port });
      await client.sendClose();
      const { payload } = await client.nextFrame();
      assert.ok(payload.length === 0 || (payload[0]! << 8 | payload[1]!) === 1000);
      assert.equal((await client.eof()).length, 0);
    },
  });
});

Deno.test("a handshake is validated, whatever the runtime behind would take", async (t) => {
  const without = (name: string) => requestHead().replace(new RegExp(`${name}: .*\r\n`), "");
  const refused: Readonly<Record<string, readonly [head: string, status: number]>> = {
    "no version": [without("Sec-WebSocket-Version"), 426],
    "the version 8": [requestHead().replace("Version: 13", "Version: 8"), 426],
    "the version 013": [requestHead().replace("Version: 13", "Version: 013"), 426],
    "no key": [without("Sec-WebSocket-Key"), 400],
    "a short key": [requestHead().replace("dGhlIHNhbXBsZSBub25jZQ==", "dGVzdA=="), 400],
    "a key that is not canonical base64": [requestHead().replace("25jZQ==", "25jZR=="), 400],
    "POST": [requestHead().replace("GET", "POST"), 405],
    "HTTP/1.0": [requestHead().replace("HTTP/1.1", "HTTP/1.0"), 505],
    "no Host": [without("Host"), 400],
    "a foreign Origin": [requestHead({ headers: { Origin: "https://evil.example" } }), 403],
  };
  await attack(t, ["--no-secure", "--handshake-rate=unlimited"], {
    ...Object.fromEntries(
      Object.entries(refused).map(([name, [head, status]]) => [
        `${name} gets ${status}`,
        async (_: Program, port: number) => {
          using client = await RawClient.open({ port });
          const response = await client.handshake({ head });
          assert.equal(response.status, status);
          assert.equal(response.headers.get("sec-websocket-version"), status === 426 ? "13" : null);
          await client.eof();
        },
      ]),
    ),
    "the subprotocols a,b break nothing, and none is selected that was not offered": async (_, port) => {
      for (const list of ["a,b", "a, b", "a ,b", "a"]) {
        using client = await RawClient.connect({ port }, { headers: { "Sec-WebSocket-Protocol": list } });
        const selected = client.response!.headers.get("sec-websocket-protocol");
        assert.ok(selected === null || ["a", "b"].includes(selected));
      }
    },
    "permessage-deflate is not negotiated": async (_, port) => {
      using client = await RawClient.connect({ port }, {
        headers: { "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits" },
      });
      assert.equal(client.response!.headers.get("sec-websocket-extensions"), null);
      await client.sendFrame({ opcode: OPCODE.text, rsv: 4, payload: "a" });
      assert.equal(await untilClose(client), 1002);
    },
  });
});

Deno.test("a stop sends 1001 to each peer, also inside an unfinished message, and never 1005", async () => {
  await using program = startServer(["--no-secure"]);
  const port = await program.port("echo");
  using idle = await RawClient.connect({ port });
  using unfinished = await RawClient.connect({ port });
  await unfinished.send(openText);
  await unfinished.sendFrame({ opcode: OPCODE.ping });
  assert.equal((await unfinished.nextFrame()).opcode, OPCODE.pong);
  program.signal("SIGTERM");
  for (const client of [idle, unfinished]) {
    assert.equal((await client.nextClose()).code, 1001);
    await client.sendClose(1001);
    await client.eof();
    client.close();
  }
  assert.equal((await program.result()).code, 0);
});
