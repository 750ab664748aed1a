// One client's connection to the misbehaving server, and what the parts of a path do to it.

import { isControl, OPCODE } from "../../protocol/frame.ts";
import type { RequestHead } from "../../protocol/handshake.ts";
import { acceptFor } from "../client_handshake.ts";
import type { RawClient } from "../raw_client.ts";
import { bytesOf, concat, frame, type FrameInit } from "../raw_frame.ts";
import type { NodeByteSocket } from "./node_byte_socket.ts";

/** How the server behaves from now on. */
export interface Modes {
  /** How many fragments a message is sent in. */
  fragments: number;
  /** The size of the pieces that every write is cut into, in bytes; `Infinity` for whole writes. */
  chop: number;
  /** The rate of all writes; `Infinity` for no limit. */
  bytesPerSecond: number;
  /** Whether messages are answered. */
  answers: boolean;
  /** Whether Pings are answered. */
  pongs: boolean;
  pongDelayMs: number;
  /** Whether a Close is answered. */
  answersClose: boolean;
}

/** A connection, and how much it may cost. */
export interface ConnectionUnderTestOptions {
  readonly request: RequestHead;
  readonly socket: NodeByteSocket;
  /** Reads from `socket`. */
  readonly client: RawClient;
  /** Aborted when the connection ends. */
  readonly signal: AbortSignal;
  /** The most bytes that are sent to the client. */
  readonly maxSent: number;
}

/** The work on a connection is over: it has ended, or reached a limit. */
export class Over extends Error {
  override readonly name = "Over";
}

/** The time between pieces, so that the system does not join them again. */
const PIECE_INTERVAL_MS = 2;
/** The largest message that is answered, in bytes, and the most fragments that it may be made of. */
export const MAX_MESSAGE = 4 * 1024 * 1024;
const MAX_FRAGMENTS = 10_000;
const MAX_BACKGROUND = 1000;
const FINISH_MS = 2000;
const ZEROS = new Uint8Array(64 * 1024);

/** What is done to one connection. Waits end by {@linkcode Over} when the connection does. */
export class ConnectionUnderTest {
  readonly query: URLSearchParams;
  readonly modes: Modes = {
    fragments: 1,
    chop: Infinity,
    bytesPerSecond: Infinity,
    answers: true,
    pongs: true,
    pongDelayMs: 0,
    answersClose: true,
  };
  /** Values of the 101 in place of the right ones, empty to leave the header out; `more` is a header line to add. */
  readonly accept: { key?: string; upgrade?: string; connection?: string; more?: string } = {};
  readonly #options: ConnectionUnderTestOptions;
  #isOpen = false;
  #sent = 0;
  #writing: Promise<void> = Promise.resolve();
  #background = 0;

  constructor(options: ConnectionUnderTestOptions) {
    this.#options = options;
    this.query = new URLSearchParams(options.request.query);
  }

  /** Answers the handshake with 101, if that is not yet done; `extra` goes out in the same write. */
  async open(extra: Uint8Array = new Uint8Array(0)): Promise<void> {
    if (this.#isOpen) return extra.length === 0 ? undefined : await this.write(extra);
    this.#isOpen = true;
    const key = this.#options.request.headers.get("sec-websocket-key") ?? "";
    const fields = [
      ["Upgrade", this.accept.upgrade ?? "websocket"],
      ["Connection", this.accept.connection ?? "Upgrade"],
      ["Sec-WebSocket-Accept", this.accept.key ?? await acceptFor(key)],
    ] as const;
    const lines = fields.filter(([, value]) => value !== "").map(([name, value]) => `${name}: ${value}\r\n`);
    const more = this.accept.more === undefined ? "" : `${this.accept.more}\r\n`;
    await this.write(
      concat(bytesOf(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("")}${more}\r\n`), extra),
    );
  }

  /** Answers the handshake with another status, and ends. */
  async refuse(status: number, ...lines: readonly string[]): Promise<void> {
    const body = "this server misbehaves\n";
    const head = [
      `HTTP/1.1 ${status} Misbehaving`,
      "Connection: close",
      "Content-Type: text/plain; charset=utf-8",
      `Content-Length: ${body.length}`,
      ...lines,
    ];
    await this.write(bytesOf(`${head.join("\r\n")}\r\n\r\n${body}`));
    await this.finish();
  }

  /** Writes bytes, in pieces and as slowly as the modes say, after all earlier writes. */
  async write(bytes: Uint8Array): Promise<void> {
    const before = this.#writing;
    const done = Promise.withResolvers<void>();
    this.#writing = done.promise;
    await before;
    try {
      const { chop, bytesPerSecond } = this.modes;
      const size = Math.max(1, Math.min(chop, Math.ceil(bytesPerSecond / 20), bytes.length));
      for (let at = 0; at < bytes.length; at += size) {
        const piece = bytes.subarray(at, at + size);
        this.#sent += piece.length;
        if (this.#sent > this.#options.maxSent) throw new Over("sent enough");
        await this.#options.socket.write(piece);
        if (bytesPerSecond !== Infinity) await this.sleep(piece.length / bytesPerSecond * 1000);
        else if (chop !== Infinity) await this.sleep(PIECE_INTERVAL_MS);
      }
    } finally {
      done.resolve();
    }
  }

  /** Sends any frame, unmasked unless `init` says otherwise. */
  async sendFrame(init: FrameInit): Promise<void> {
    await this.open(frame({ masked: false, ...init }));
  }

  /** Sends a message in as many fragments as the modes say. */
  async sendMessage(opcode: number, payload: Uint8Array): Promise<void> {
    const { fragments } = this.modes;
    const size = Math.ceil(payload.length / fragments);
    for (let i = 0; i < fragments; i++) {
      const part = payload.subarray(i * size, (i + 1) * size);
      await this.sendFrame({
        opcode: i === 0 ? opcode : OPCODE.continuation,
        fin: i === fragments - 1,
        payload: part,
      });
    }
  }

  /** Sends a binary message of zeros, without holding more than 64 KiB of it. */
  async sendZeros(size: number): Promise<void> {
    const { fragments } = this.modes;
    const part = Math.ceil(size / fragments);
    for (let i = 0; i < fragments; i++) {
      let left = Math.max(0, Math.min(part, size - i * part));
      const opcode = i === 0 ? OPCODE.binary : OPCODE.continuation;
      await this.sendFrame({ opcode, fin: i === fragments - 1, claimedLength: BigInt(left) });
      for (; left > 0; left -= ZEROS.length) await this.write(ZEROS.subarray(0, left));
    }
  }

  /** Answers messages, Pings and a Close, until `messages` messages have come or the connection ends. */
  async echo(messages = Infinity): Promise<void> {
    await this.open();
    let opcode = 0;
    let parts: Uint8Array[] = [];
    let size = 0;
    for (let answered = 0; answered < messages;) {
      const arrival = await this.#options.client.nextFrame(Infinity);
      if (arrival.kind !== "frame") throw new Over("the client has gone");
      // What the client does wrong is not judged here.
      if (isControl(arrival.opcode)) {
        await this.#answerControl(arrival.opcode, arrival.payload);
        continue;
      }
      if (arrival.opcode !== OPCODE.continuation) {
        opcode = arrival.opcode;
        parts = [];
        size = 0;
      }
      parts.push(arrival.payload);
      size += arrival.payload.length;
      if (size > MAX_MESSAGE || parts.length > MAX_FRAGMENTS) throw new Over("the client sent too much");
      if (!arrival.fin) continue;
      if (this.modes.answers) await this.sendMessage(opcode, concat(...parts));
      answered++;
    }
  }

  /** Sends a Close frame with any payload, waits for the answer, and ends. */
  async close(payload: Uint8Array): Promise<void> {
    await this.sendFrame({ opcode: OPCODE.close, payload });
    for (;;) {
      const arrival = await this.#options.client.nextFrame(Infinity);
      if (arrival.kind !== "frame" || arrival.opcode === OPCODE.close) break;
    }
    await this.finish();
  }

  /** Reads until the client ends, and answers nothing. */
  async readAway(): Promise<never> {
    await this.#options.client.end(Infinity, Infinity);
    throw new Over("the client has gone");
  }

  /** Sends something `perSecond` times a second in the background, as long as the client reads. */
  repeat(perSecond: number, send: (index: number) => Promise<void>): void {
    // Timers are too coarse for one event each.
    const atOnce = Math.ceil(perSecond / 100);
    this.#inBackground(async () => {
      for (let index = 0;;) {
        for (let i = 0; i < atOnce; i++) await send(index++);
        await this.sleep(atOnce / perSecond * 1000);
      }
    });
  }

  /** Waits for `ms` milliseconds; rejects with {@linkcode Over} when the connection ends. */
  sleep(ms: number): Promise<void> {
    const { signal } = this.#options;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(new Over("the connection is over"));
      const onAbort = () => {
        clearTimeout(timer);
        reject(new Over("the connection is over"));
      };
      const timer = setTimeout(() => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      }, ms);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Does nothing more, not even read. */
  async hang(): Promise<void> {
    await this.sleep(2 ** 31 - 1);
  }

  /** Sends FIN, and reads until the client ends too, for two seconds at most. */
  async finish(): Promise<never> {
    await this.closeWrite();
    await this.#options.client.end(FINISH_MS, Infinity);
    throw new Over("finished");
  }

  /** Sends FIN. */
  async closeWrite(): Promise<void> {
    await this.#options.socket.closeWrite();
  }

  /** Sends FIN, and ends at once. */
  async drop(): Promise<never> {
    await this.closeWrite();
    throw new Over("dropped");
  }

  /** Sends RST. */
  reset(): never {
    this.#options.socket.reset();
    throw new Over("reset");
  }

  async #answerControl(opcode: number, payload: Uint8Array): Promise<void> {
    const { pongs, pongDelayMs, answersClose } = this.modes;
    if (opcode === OPCODE.ping && pongs) {
      const pong = { opcode: OPCODE.pong, payload };
      if (pongDelayMs === 0) await this.sendFrame(pong);
      else {
        this.#inBackground(async () => {
          await this.sleep(pongDelayMs);
          await this.sendFrame(pong);
        });
      }
    }
    if (opcode !== OPCODE.close) return;
    if (!answersClose) await this.readAway();
    await this.sendFrame({ opcode: OPCODE.close, payload });
    await this.finish();
  }

  #inBackground(work: () => Promise<void>): void {
    if (this.#background >= MAX_BACKGROUND) throw new Over("too much at once");
    this.#background++;
    // It fails when the connection ends, which the foreground notices by itself.
    void work().catch(() => {}).finally(() => this.#background--);
  }
}
