// Attacks on a server's memory, descriptors or time, while a good client works.

import { connect as connectNode } from "node:net";
import { OPCODE } from "../../../protocol/frame.ts";
import { concat, frame, text } from "../../raw_frame.ts";
import type { Case } from "../case.ts";
import { fail, info, pass, Unperformable, type Verdict, warn } from "../verdict.ts";
import { countDescriptors } from "../descriptors.ts";
import { inGroup } from "../judge.ts";
import { describeArrival, type Probe, type Wire, within } from "../probe.ts";
import { notObservable } from "./limits.ts";

const MiB = 1024 * 1024;
/** How much a server may take from a peer that does not read, in bytes: more than the system's buffers hold. */
const UNREAD_LIMIT = 48 * MiB;
const ROUNDS = 3;
const ABORTS = 60;
const SLOW_HEADS = 100;
const IDLE_SOCKETS = 300;
/** How long a good client may wait among attackers, in milliseconds. */
const GOOD_MS = 2000;
const HELD_SIZE = 960 * 1024;
const HUGE_TEXT = 520 * MiB;

/** Works as a good client until it is stopped; returns its slowest answer, and how it failed if it did. */
async function goodClient(
  probe: Probe,
  isOver: () => boolean,
): Promise<{ readonly slowestMs: number; readonly fault?: string }> {
  const wire = await probe.open();
  let slowestMs = 0;
  while (!isOver()) {
    const startMs = performance.now();
    const fault = await probe.findFaultOfEcho(wire);
    if (fault !== undefined) return { slowestMs, fault };
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
    await probe.sleep(50);
  }
  return { slowestMs };
}

/** Attacks while a good client works. */
async function besideGoodClient(probe: Probe, attack: () => Promise<Verdict | undefined>): Promise<Verdict> {
  let isOver = false;
  // Caught here, because it may fail during the attack and is awaited only afterwards.
  const good = goodClient(probe, () => isOver).catch((error) => {
    if (error instanceof Unperformable) return { slowestMs: 0, fault: error.message };
    throw error;
  });
  let verdict: Verdict | undefined;
  try {
    verdict = await attack();
  } finally {
    isOver = true;
  }
  const { slowestMs, fault } = await good;
  if (fault !== undefined) return fail(`a good client is not served: ${fault}`);
  if (slowestMs > GOOD_MS) return fail(`a good client waited ${slowestMs.toFixed(0)} ms`);
  return verdict ?? pass(`a good client waited ${slowestMs.toFixed(0)} ms at most`);
}

/** Sends `piece` again and again without reading the answers, until the server takes no more or has taken too much. */
async function sendUnread(probe: Probe, piece: Uint8Array): Promise<Verdict | undefined> {
  const wire = await probe.open();
  let sent = 0;
  while (sent < UNREAD_LIMIT) {
    if (await wire.send(piece, 3000) !== undefined) return undefined;
    sent += piece.length;
  }
  return warn(`${sent >> 20} MiB are taken of a peer that reads no answer`);
}

/** Aborts handshakes in rounds, and counts the server's descriptors after each. */
async function abortUpgrades(probe: Probe, how: "FIN" | "RST"): Promise<Verdict> {
  const { pid } = probe.options;
  const counts: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    for (let i = 0; round > 0 && i < ABORTS; i++) {
      if (how === "RST") await resetAfter(probe, i % 4);
      else {
        const wire = await probe.dial();
        await wire.send(probe.head());
        wire.close();
      }
    }
    await probe.sleep(1000);
    counts.push(await countDescriptors(pid) ?? NaN);
  }
  if (counts.some(Number.isNaN)) {
    return notObservable("--pid and --allow-all let it count the descriptors of the server");
  }
  const growth = counts.slice(1).map((count, i) => count - counts[i]!);
  const observed = `${counts.join(", ")} descriptors after rounds of ${ABORTS}`;
  return growth.every((grown) => grown > ABORTS / 4)
    ? fail(observed)
    : growth.at(-1)! > ABORTS / 4
    ? warn(observed)
    : pass(observed);
}

/** Sends a handshake and `delayMs` later a RST. Delays should vary: when a server begins to answer is not known. */
async function resetAfter(probe: Probe, delayMs: number): Promise<void> {
  const { target, address } = probe.options;
  const head = probe.head();
  await new Promise<void>((resolve) => {
    const where = target.socketPath === undefined
      ? { host: address ?? target.hostname, port: target.port }
      : { path: target.socketPath };
    const socket = connectNode(where, () => {
      socket.write(head, () => {
        setTimeout(() => {
          if (target.socketPath === undefined) socket.resetAndDestroy();
          else socket.destroy();
        }, delayMs);
      });
    });
    // A server that takes no connection is found by the check after the case.
    socket.on("error", () => resolve()).on("close", () => resolve());
  });
}

/** All cases that try to exhaust a server. */
export const EXHAUSTION_CASES: readonly Case[] = inGroup("exhaustion", [
  {
    id: "never-read",
    section: "RFC 6455 §10.4",
    level: "SHOULD",
    sends: "large messages, and reads no answer",
    right: "it is not read any more, or ended; others are served",
    run: (probe) => {
      if (probe.manner.kind !== "echo") throw new Unperformable("the server is no echo", "skip");
      return besideGoodClient(
        probe,
        () => sendUnread(probe, frame({ opcode: OPCODE.binary, payload: new Uint8Array(256 * 1024) })),
      );
    },
  },
  {
    id: "ping-unread",
    section: "RFC 6455 §10.4",
    level: "SHOULD",
    sends: "Pings, and reads no Pong",
    right: "it is not read any more, or ended; others are served",
    run: (probe) => {
      const ping = frame({ opcode: OPCODE.ping, payload: new Uint8Array(125) });
      return besideGoodClient(probe, () => sendUnread(probe, concat(...Array<Uint8Array>(500).fill(ping))));
    },
  },
  {
    id: "aborted-upgrade-rst",
    section: "RFC 6455 §10",
    level: "SHOULD",
    sends: `${ROUNDS} rounds of ${ABORTS} handshakes that end with RST`,
    right: "no descriptor is kept",
    run: (probe) => abortUpgrades(probe, "RST"),
  },
  {
    id: "aborted-upgrade-fin",
    section: "RFC 6455 §10",
    level: "SHOULD",
    sends: `${ROUNDS} rounds of ${ABORTS} handshakes that end before the 101`,
    right: "no descriptor is kept",
    run: (probe) => abortUpgrades(probe, "FIN"),
  },
  {
    id: "half-close-after-request",
    section: "RFC 6455 §7.1.1",
    level: "SHOULD",
    sends: "handshakes with a FIN after them",
    right: "the end of each",
    async run(probe) {
      const wires: Wire[] = [];
      for (let i = 0; i < 20; i++) {
        const wire = await probe.dial();
        await wire.send(probe.head());
        await wire.client.closeWrite();
        wires.push(wire);
      }
      const ends = await Promise.all(wires.map((wire) => wire.client.end(probe.options.thresholds.hangUpMs)));
      const open = ends.filter(({ kind }) => kind !== "end").length;
      return open === 0 ? pass("all are ended") : warn(`${open} of ${wires.length} are still open`);
    },
  },
  {
    id: "held-memory",
    section: "RFC 6455 §10.4",
    level: "SHOULD",
    sends: "three unfinished messages that grow a byte each tenth of a second",
    right: "others are served",
    run: (probe) =>
      besideGoodClient(probe, async () => {
        const wires: Wire[] = [];
        for (let i = 0; i < 3; i++) {
          const wire = await probe.open();
          await wire.send(frame({ opcode: OPCODE.binary, claimedLength: BigInt(HELD_SIZE + 1000) }));
          await wire.send(new Uint8Array(HELD_SIZE));
          wires.push(wire);
        }
        for (let i = 0; i < 50; i++) {
          for (const wire of wires) await wire.send(new Uint8Array(1), 500);
          await probe.sleep(100);
        }
        return undefined;
      }),
  },
  {
    id: "text-over-512-mib",
    section: "RFC 6455 §10.4",
    level: "SHOULD",
    sends: "a text of 520 MiB in fragments, more than a string can hold",
    right: "Close 1009, and a server that lives",
    async run(probe) {
      const wire = await probe.open({ maxPayload: 64 * 1024 });
      let isOver = false;
      const reading = wire.next(60_000).finally(() => isOver = true);
      const payload = new Uint8Array(MiB).fill(0x61);
      const first = text(payload, { fin: false });
      const next = frame({ opcode: OPCODE.continuation, fin: false, payload });
      for (let sent = 0; sent < HUGE_TEXT && !isOver; sent += MiB) {
        if (await wire.send(sent === 0 ? first : next, 10_000) !== undefined) break;
      }
      if (!isOver) await wire.send(frame({ opcode: OPCODE.continuation, payload: "end" }));
      const arrival = await within(10_000, reading);
      if (arrival === undefined || arrival.kind === "late") return warn("520 MiB are taken");
      return arrival.kind === "frame" && arrival.closeCode === 1009
        ? pass(describeArrival(arrival))
        : warn(describeArrival(arrival));
    },
  },
  {
    id: "slow-heads",
    section: "RFC 6455 §10",
    level: "SHOULD",
    sends: `${SLOW_HEADS} requests that are not finished`,
    right: "others are served",
    run: (probe) =>
      besideGoodClient(probe, async () => {
        for (let i = 0; i < SLOW_HEADS; i++) {
          const wire = await probe.dial();
          await wire.send(`GET ${probe.target.path} HTTP/1.1\r\nHost: ${probe.target.host}\r\nX-${i}: `);
        }
        return undefined;
      }),
  },
  {
    id: "descriptors",
    section: "RFC 6455 §10",
    level: "SHOULD",
    sends: `${IDLE_SOCKETS} connections without a word`,
    right: "some are turned away, and others are served meanwhile and after",
    run: (probe) =>
      besideGoodClient(probe, async () => {
        const wires: Wire[] = [];
        for (let i = 0; i < IDLE_SOCKETS; i++) wires.push(await probe.dial());
        const kept = await Promise.all(wires.map((wire) => wire.client.end(500)));
        const open = kept.filter(({ kind }) => kind === "late").length;
        for (const wire of wires) wire.close();
        return open === IDLE_SOCKETS ? info(`${open} are kept`) : undefined;
      }),
  },
], "exhaustion");
