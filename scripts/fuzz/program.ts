// Fuzzes the running program, and compares what comes back on the wire with the model.

import assert from "node:assert/strict";
import { frame, OPCODE } from "../../tests/support/raw_client.ts";
import { closeCodeOf, FrameReader, HEAD, readResponse, writeAll } from "../load.ts";
import { makeStream } from "./frame_cases.ts";
import { judge, type ModelLimits, type ModelMessage } from "./frame_model.ts";
import { makeHead } from "./head_cases.ts";
import { assertSame } from "./parsers.ts";
import { Random } from "./random.ts";

/** The limits that the program must be started with: small, so that they are reached often. */
export const LIMITS: ModelLimits = { maxMessageSize: 70_000, maxFragments: 16 };

/** The flags that the program must be started with. */
export const PROGRAM_FLAGS: readonly string[] = [
  "--no-secure",
  "--echo-prefix=",
  `--max-message-size=${LIMITS.maxMessageSize}B`,
  `--max-fragments=${LIMITS.maxFragments}`,
  "--message-rate=unlimited",
  "--byte-rate=unlimited",
  "--handshake-rate=unlimited",
  "--max-connections-per-ip=unlimited",
  "--ban-after=off",
  "--log-level=fatal",
];

const CASE_TIMEOUT_MS = 15_000;
const DOCUMENTED_STATUSES = [400, 403, 404, 405, 408, 417, 421, 426, 431, 505];

/** Runs one case on a connection of its own. Returns how many frames and heads it was; throws at a difference. */
export async function fuzzProgram(port: number, seed: number, index: number): Promise<number> {
  const random = new Random(seed, index);
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  conn.setNoDelay(true);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    conn.close();
  }, CASE_TIMEOUT_MS);
  try {
    return random.chance(0.25) ? await fuzzHead(conn, random) : await fuzzStream(conn, random);
  } catch (error) {
    if (isLate) throw new Error(`The server did not end the case within ${CASE_TIMEOUT_MS} ms`);
    throw error;
  } finally {
    clearTimeout(timer);
    if (!isLate) conn.close();
  }
}

async function fuzzStream(conn: Deno.TcpConn, random: Random): Promise<number> {
  const { bytes, frames } = makeStream(random, 150, LIMITS);
  const startedMs = performance.now();
  const verdict = judge(bytes, LIMITS);
  await writeAll(conn, HEAD);
  const { status, rest } = await readResponse(conn);
  assert.equal(status, 101);

  const reader = new FrameReader();
  reader.push(rest);
  const messages: ModelMessage[] = [];
  const pongs: ModelMessage[] = [];
  let close: number | undefined;
  let sendError: unknown;
  const sending = send(conn, random.cut(bytes)).then(async () => {
    // A stream without an end of its own just stops; the server then reports a missing Close.
    if (verdict.violation === undefined && verdict.close === undefined) await conn.closeWrite();
  }).catch((error) => sendError = error);
  const chunk = new Uint8Array(65_536);
  for (;;) {
    for (let next = reader.next(); next !== undefined; next = reader.next()) {
      assert.equal(close, undefined, "a frame came after the Close");
      if (next.opcode === OPCODE.close) close = closeCodeOf(next.payload);
      else if (next.opcode === OPCODE.pong) pongs.push({ opcode: OPCODE.ping, payload: next.payload });
      else messages.push(next);
    }
    const size = await conn.read(chunk);
    if (size === null) break;
    reader.push(chunk.subarray(0, size));
  }
  await sending;
  const elapsedMs = Math.round(performance.now() - startedMs);
  const seen = `${messages.length} of ${verdict.messages.length} messages, ${elapsedMs} ms, Close ${close}`;
  assert.ok(
    reader.pending === 0,
    `the connection ended inside a frame, after ${reader.pending} bytes of it (${seen})`,
  );
  assert.equal(sendError, undefined, "the server did not take what was sent");
  assert.equal(close, verdict.violation ?? verdict.close ?? 1002, "the code of the Close");
  if (verdict.close !== undefined) {
    assertSame(messages, verdict.messages);
    assertSame(pongs, verdict.pings);
  } else {
    // A broken rule ends the connection at once: not all that came before need be answered.
    assert.ok(messages.length <= verdict.messages.length && pongs.length <= verdict.pings.length);
    assertSame(messages, verdict.messages.slice(0, messages.length));
    assertSame(pongs, verdict.pings.slice(0, pongs.length));
  }
  return frames;
}

async function fuzzHead(conn: Deno.TcpConn, random: Random): Promise<number> {
  const { bytes, statuses, isWhole } = makeHead(random);
  const sending = send(conn, random.cut(bytes)).then(async () => {
    if (!isWhole) await conn.closeWrite();
  }).catch(() => {});
  const { status } = await readResponse(conn);
  await sending;
  if (status === 101) {
    assert.ok(isWhole && statuses.size === 0, `101 for a head that should have got ${[...statuses]}`);
    await writeAll(conn, frame({ opcode: OPCODE.close }));
  } else if (status !== 0 || isWhole) {
    assert.ok(DOCUMENTED_STATUSES.includes(status), `the status ${status}`);
    assert.ok(statuses.has(status), `${status} for a head with ${[...statuses]}`);
  }
  const chunk = new Uint8Array(1024);
  while (await conn.read(chunk) !== null);
  return 1;
}

async function send(conn: Deno.TcpConn, pieces: readonly Uint8Array[]): Promise<void> {
  for (const piece of pieces) await writeAll(conn, piece);
}
