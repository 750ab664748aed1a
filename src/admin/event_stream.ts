// Log records as they happen, as server-sent events (WHATWG HTML §9.2), to readers that keep up.

import type { EventFeed, FeedRecord } from "./event_feed.ts";

/** How many streams may be open at once. */
export const MAX_STREAMS = 16;

/** How many records may wait for a reader; a slower reader is dropped. */
export const MAX_WAITING_RECORDS = 256;

const HEARTBEAT_MS = 15_000;

/** Why a stream fails: its reader is too far behind. */
export class SlowReader extends Error {}

const encoder = new TextEncoder();
const COMMENT = encoder.encode(":\n\n");

/** All streams of a listener. */
export class EventStreams {
  readonly #feed: EventFeed;
  readonly #heartbeatMs: number;
  readonly #open = new Set<() => void>();

  /** @param heartbeatMs how often a stream without records sends a sign of life, and its right to read is checked */
  constructor(feed: EventFeed, heartbeatMs = HEARTBEAT_MS) {
    this.#feed = feed;
    this.#heartbeatMs = heartbeatMs;
  }

  /** How many are open. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * A stream that begins with the kept records after `afterId`. It ends when `mayRead`, which is asked before each record
   * and at each heartbeat, says no. Undefined when there are {@linkcode MAX_STREAMS} already.
   */
  open(afterId: number, mayRead: () => boolean): ReadableStream<Uint8Array> | undefined {
    if (this.#open.size >= MAX_STREAMS) return undefined;
    let stop = () => {};
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        const send = (bytes: Uint8Array) => {
          if (!mayRead()) return end();
          // A record of a fault in the check itself may have ended it meanwhile.
          if (!this.#open.has(end)) return;
          controller.enqueue(bytes);
          if ((controller.desiredSize ?? 0) > 0) return;
          stop();
          // Also frees what waits for the reader.
          controller.error(new SlowReader("the reader does not keep up"));
        };
        const unwatch = this.#feed.watch((record) => send(encode(record)));
        const timer = setInterval(() => send(COMMENT), this.#heartbeatMs);
        stop = () => {
          unwatch();
          clearInterval(timer);
          this.#open.delete(end);
        };
        const end = () => {
          if (!this.#open.has(end)) return;
          stop();
          controller.close();
        };
        this.#open.add(end);
        controller.enqueue(COMMENT);
        for (const record of this.#feed.recent(afterId)) controller.enqueue(encode(record));
      },
      cancel: () => stop(),
    }, { highWaterMark: MAX_WAITING_RECORDS });
  }

  /** Ends all of them. */
  close(): void {
    for (const end of [...this.#open]) end();
  }
}

function encode({ id, json }: FeedRecord): Uint8Array {
  return encoder.encode(`id: ${id}\ndata: ${json}\n\n`);
}
