// Runs the sequences of the order table against a listener.

import assert from "node:assert/strict";
import { describeFrame, type Dialect, orderTable } from "./order_table.ts";
import { concat, OPCODE, RawClient } from "./raw_client.ts";

/** A text that is echoed verbatim. */
export const ECHO_DIALECT: Dialect = {
  request: (n) => `message \u00e9${n}`,
  reply: (n) => `text message \u00e9${n}`,
  binary: "binary 010203",
};

/** How the bytes are cut. */
const CUTS: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array[]>> = {
  "in one write": (bytes) => [bytes],
  "byte by byte": (bytes) => Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)),
  "in two writes": (bytes) => {
    const middle = bytes.length >> 1;
    return [bytes.subarray(0, middle), bytes.subarray(middle)];
  },
};

/** What an endpoint wants to be sent before a sequence, and what it answers to that. */
export interface Preface {
  readonly bytes: Uint8Array;
  readonly answers: readonly string[];
}

const NO_PREFACE: Preface = { bytes: new Uint8Array(0), answers: [] };

/** Runs all sequences, cut in each way, and compares everything that comes back with the table. */
export async function checkOrder(
  dialect: Dialect,
  connect: () => Promise<RawClient>,
  preface = NO_PREFACE,
): Promise<void> {
  for (const sequence of orderTable(dialect)) {
    for (const [cut, split] of Object.entries(CUTS)) {
      using client = await connect();
      const received: string[] = [];
      try {
        for (const piece of split(concat(preface.bytes, sequence.bytes))) {
          // The server may have ended the connection before all of it has been sent.
          await client.send(piece).catch(() => {});
        }
        if (sequence.fin) await client.closeWrite().catch(() => {});
        // A frame too many would come before the answer to this.
        else if (!sequence.ends) await client.sendFrame({ opcode: OPCODE.ping, payload: "the last" });
        const expected = [
          ...preface.answers,
          ...sequence.expect,
          ...(sequence.ends ? [] : ["pong the last"]),
        ];
        while (received.length < expected.length) {
          received.push(describeFrame(await client.nextFrame(expected[received.length])));
        }
        assert.deepEqual(received, expected);
        if (sequence.ends) assert.equal((await client.eof()).length, 0, "nothing follows");
      } catch (cause) {
        throw new Error(`${sequence.name}, ${cut}: ${(cause as Error).message}\nreceived: ${received}`, {
          cause,
        });
      }
    }
  }
}
