// Whether there are limits: on a frame, a message, its fragments, the rate of frames, and connections.

import { OPCODE } from "../../../protocol/frame.ts";
import { concat, frame, text } from "../../raw_frame.ts";
import type { Case } from "../case.ts";
import { fail, info, pass, Unperformable, type Verdict, warn } from "../verdict.ts";
import { inGroup } from "../judge.ts";
import { describeAnswer, describeArrival, type Probe, type Wire, within } from "../probe.ts";

const { binary, continuation } = OPCODE;
const CHUNK = 1024 * 1024;
const SEND_MS = 30_000;
const FLOOD_MS = 4000;

/** Sends pieces while it reads, and judges how the server put an end to it, or that it did not. */
async function pour(probe: Probe, pieces: () => Generator<Uint8Array>, what: string): Promise<Verdict> {
  const wire = await probe.open({ maxPayload: 64 * 1024 });
  let isStopped = false;
  const reading = (async () => {
    for (;;) {
      const arrival = await wire.next(SEND_MS);
      const isOver = arrival.kind !== "frame" || arrival.closeCode !== undefined || arrival.opcode <= binary;
      if (isOver) {
        isStopped = true;
        return arrival;
      }
    }
  })();
  let failure: Awaited<ReturnType<Wire["send"]>>;
  for (const piece of pieces()) {
    if (isStopped) break;
    failure = await wire.send(piece, SEND_MS);
    if (failure !== undefined) break;
  }
  // All of it was taken: the reaction comes now, and a Ping makes the loss of the connection show.
  if (!isStopped && failure === undefined) await wire.send(frame({ opcode: OPCODE.ping }), probe.timeoutMs);
  const arrival = await within(probe.timeoutMs * 2, reading);
  wire.close();
  if (arrival === undefined) {
    return failure?.kind === "late" ? pass("not read any more") : warn(`${what} is taken`);
  }
  if (arrival.kind === "end") {
    return failure?.kind === "late" ? pass("not read any more") : warn(describeArrival(arrival));
  }
  if (arrival.kind === "frame" && arrival.closeCode !== undefined) {
    if (arrival.closeCode === 1011) {
      return fail(`${describeArrival(arrival)}: too much is an error of the server`);
    }
    return [1009, 1008, 1002, 1013].includes(arrival.closeCode)
      ? pass(describeArrival(arrival))
      : warn(describeArrival(arrival));
  }
  return warn(`${what} is taken, and answered`);
}

function* chunks(size: number): Generator<Uint8Array> {
  const chunk = new Uint8Array(CHUNK);
  for (let left = size; left > 0; left -= CHUNK) yield left >= CHUNK ? chunk : chunk.subarray(0, left);
}

/** All cases about limits. */
export const LIMIT_CASES: readonly Case[] = inGroup("limits", [
  {
    id: "limit-frame",
    section: "RFC 6455 §10.4",
    level: "SHOULD",
    sends: "a large frame (--frame-threshold)",
    right: "Close 1009",
    run: (probe) => {
      const size = probe.options.thresholds.frame;
      return pour(probe, function* () {
        yield frame({ opcode: binary, claimedLength: BigInt(size) });
        yield* chunks(size);
      }, `a frame of ${size} bytes`);
    },
  },
  {
    id: "limit-message-fragments",
    section: "RFC 6455 §10.4",
    level: "SHOULD",
    sends: "a large message in fragments of 1 MiB (--message-threshold)",
    right: "Close 1009",
    run: (probe) => {
      const size = probe.options.thresholds.message;
      return pour(probe, function* () {
        const count = Math.ceil(size / CHUNK);
        for (let i = 0; i < count; i++) {
          yield frame({
            opcode: i === 0 ? binary : continuation,
            fin: i === count - 1,
            claimedLength: BigInt(CHUNK),
          });
          yield* chunks(CHUNK);
        }
      }, `a message of ${size} bytes`);
    },
  },
  {
    id: "limit-fragment-count",
    section: "RFC 6455 §10.4",
    level: "SHOULD",
    sends: "a message of many empty fragments (--fragment-threshold)",
    right: "Close 1009 or 1008",
    run: (probe) => {
      const count = probe.options.thresholds.fragments;
      return pour(probe, function* () {
        yield text("", { fin: false });
        const many = concat(
          ...Array.from({ length: 1000 }, () => frame({ opcode: continuation, fin: false })),
        );
        for (let i = 0; i < count; i += 1000) yield many;
        yield frame({ opcode: continuation, payload: "end" });
      }, `a message of ${count} fragments`);
    },
  },
  {
    id: "limit-message-rate",
    section: "RFC 6455 §10.4",
    level: "SHOULD",
    sends: "Pings as fast as they are taken (--rate-threshold)",
    right: "a Close, or Pings that are read more slowly",
    async run(probe) {
      const wire = await probe.open();
      const { messages } = probe.options.thresholds;
      const many = concat(...Array.from({ length: 100 }, () => frame({ opcode: OPCODE.ping, payload: "x" })));
      const startMs = performance.now();
      let answered = 0;
      let end: string | undefined;
      const reading = (async () => {
        while (answered < messages && end === undefined) {
          const arrival = await wire.next(FLOOD_MS);
          if (arrival.kind === "late") return;
          if (arrival.kind !== "frame" || arrival.closeCode !== undefined) end = describeArrival(arrival);
          else if (arrival.opcode === OPCODE.pong) answered++;
        }
      })();
      for (let sent = 0; sent < messages && end === undefined; sent += 100) {
        const leftMs = startMs + FLOOD_MS - performance.now();
        if (leftMs <= 0 || await wire.send(many, leftMs) !== undefined) break;
      }
      await within(Math.max(startMs + FLOOD_MS - performance.now(), 200), reading);
      const seconds = (performance.now() - startMs) / 1000;
      wire.close();
      if (end !== undefined) return pass(end);
      const rate = `${answered} of ${messages} answered in ${seconds.toFixed(1)} s`;
      return answered < messages / 2 ? pass(rate) : warn(rate);
    },
  },
  {
    id: "limit-connections",
    section: "RFC 6455 §10.4",
    level: "SHOULD",
    sends: "many connections from one address (--connection-threshold)",
    right: "a refusal with 429 or 503, or no more connections",
    async run(probe) {
      const most = probe.options.thresholds.connections;
      for (let open = 0; open < most; open++) {
        let asked: Awaited<ReturnType<Probe["ask"]>>;
        try {
          asked = await probe.ask(probe.head(), { wantsBusy: true });
        } catch (error) {
          // A connection that is turned away before TLS gets no HTTP status.
          if (!(error instanceof Unperformable) || open === 0) throw error;
          return pass(`connection ${open + 1} is turned away: ${error.message}`);
        }
        const { answer, wire } = asked;
        if (answer.kind === "head" && answer.status === 101) continue;
        wire.close();
        if (answer.kind === "late") return warn(`nothing in time for connection ${open + 1}`);
        const observed = `${describeAnswer(answer)} for connection ${open + 1}`;
        return answer.kind === "head" && answer.status >= 500 && answer.status !== 503
          ? fail(observed)
          : pass(observed);
      }
      return warn(`${most} connections are taken`);
    },
  },
], "limit");

/** All cases about how long a peer may be silent. */
export const TIME_CASES: readonly Case[] = inGroup("times", [
  silent("tcp-silent", "nothing at all", "the end, or 408", async (probe) => await probe.dial()),
  silent("half-head", "half a request", "the end, or 408", async (probe) => {
    const wire = await probe.dial();
    await wire.send(`GET ${probe.target.path} HTTP/1.1\r\nHo`);
    return wire;
  }),
  silent("drip-head", "a byte of a request each half second", "the end, or 408", async (probe) => {
    const wire = await probe.dial();
    await wire.send(`GET ${probe.target.path} HTTP/1.1\r\nHost: ${probe.target.host}\r\nX-Slow: `);
    return wire;
  }, "a"),
  silent("keepalive-idle", "a plain GET, and then nothing", "the end", async (probe) => {
    const { wire } = await probe.ask(
      `GET ${probe.target.path} HTTP/1.1\r\nHost: ${probe.target.host}\r\n\r\n`,
    );
    // The answer is read here: only what follows it counts.
    await wire.client.rest(64 * 1024, 500);
    return wire;
  }),
  silent(
    "unfinished-message",
    "the beginning of a message, and then nothing, not even Pongs",
    "a Ping, a Close or the end",
    async (probe) => {
      const wire = await probe.open();
      await wire.send(text("begun", { fin: false }));
      return wire;
    },
  ),
  silent(
    "ws-idle",
    "nothing on an open WebSocket, not even Pongs",
    "a Ping, a Close or the end",
    (probe) => probe.open(),
  ),
], "limit");

function silent(
  id: string,
  sends: string,
  right: string,
  begin: (probe: Probe) => Promise<Wire>,
  drip?: string,
): Omit<Case, "group" | "class"> {
  return {
    id,
    section: "RFC 6455 §10",
    level: "SHOULD",
    sends: `${sends} (--silence-threshold)`,
    right,
    isSlow: true,
    async run(probe) {
      const wire = await begin(probe);
      const { silenceMs } = probe.options.thresholds;
      const startMs = performance.now();
      const seconds = () => `${((performance.now() - startMs) / 1000).toFixed(0)} s`;
      if (drip !== undefined) {
        while (performance.now() - startMs < silenceMs) {
          if (await wire.send(drip, 1000) !== undefined) return pass(`ended after ${seconds()}`);
          // An answer ends the wait, as the end does.
          if ((await wire.client.rest(1, 500)).length > 0) return pass(`answered after ${seconds()}`);
        }
        return warn(`still open after ${silenceMs / 1000} s`);
      }
      const came = await wire.client.rest(1, silenceMs);
      if (came.length > 0) return pass(`a word of the server after ${seconds()}`);
      const end = await wire.client.end(0);
      if (end.kind === "end") return pass(`a ${end.how} after ${seconds()}`);
      return id === "ws-idle" || id === "unfinished-message"
        ? warn(`not a word in ${silenceMs / 1000} s`)
        : warn(`still open after ${silenceMs / 1000} s`);
    },
  };
}

/** The verdict on what can't be observed from outside. */
export function notObservable(why: string): Verdict {
  return info(`not observable: ${why}`);
}
