// Ping, Pong and their order: RFC 6455 §5.5.

import { OPCODE } from "../../../protocol/frame.ts";
import { concat, frame, text } from "../../raw_frame.ts";
import type { Case } from "../case.ts";
import { broken, fail, pass, type Verdict, warn } from "../verdict.ts";
import { answers, inGroup, violates } from "../judge.ts";
import { decode, describeArrival, type Probe, type Wire } from "../probe.ts";

const { continuation, ping, pong, close } = OPCODE;
/** How many Pings make a burst. */
const BURST = 20;

function pingOf(size: number): Omit<Case, "group" | "class"> {
  const declared = {
    section: "RFC 6455 §5.5.2",
    level: "MUST",
    sends: `a Ping of ${size} bytes`,
    right: "a Pong with the same bytes",
  } as const;
  return answers({ id: `ctl-ping-${size}`, ...declared }, async (wire) => {
    const payload = "p".repeat(size);
    await wire.send(frame({ opcode: ping, payload }));
    const arrival = await wire.next();
    return arrival.kind === "frame" && arrival.opcode === pong && decode(arrival.payload) === payload
      ? pass("the Pong")
      : fail(describeArrival(arrival));
  });
}

/** A text in two fragments with a Ping between them. */
async function betweenFragments(wire: Wire, probe: Probe, waits: boolean): Promise<Verdict> {
  const { send } = probe.options;
  const middle = send.length >> 1;
  const start = concat(
    text(send.slice(0, middle), { fin: false }),
    frame({ opcode: ping, payload: "between" }),
  );
  const end = frame({ opcode: continuation, payload: send.slice(middle) });
  const isPong = (arrival: Awaited<ReturnType<Wire["next"]>>) =>
    arrival.kind === "frame" && arrival.opcode === pong;
  if (waits) await wire.send(start);
  else await wire.send(concat(start, end));
  const first = await wire.next();
  if (waits && !isPong(first)) {
    return fail(`no Pong before the end of the message: ${describeArrival(first)}`);
  }
  if (waits) await wire.send(end);
  if (probe.manner.kind === "none") return isPong(first) ? pass("the Pong") : fail(describeArrival(first));
  const second = await wire.next();
  if (isPong(first) && probe.isAnswer(second, send)) return pass("the Pong, then the answer");
  if (probe.isAnswer(first, send) && isPong(second)) {
    return warn("the answer, then the Pong that was asked for before it");
  }
  return fail(`${describeArrival(first)}, then ${describeArrival(second)}`);
}

/** All cases about control frames. */
export const CONTROL_CASES: readonly Case[] = inGroup("control", [
  ...[0, 5, 125].map(pingOf),
  violates({
    id: "ctl-ping-126",
    section: "RFC 6455 §5.5",
    level: "MUST",
    sends: "a Ping of 126 bytes",
    right: "Close 1002",
  }, frame({ opcode: ping, payload: new Uint8Array(126) })),
  violates({
    id: "ctl-pong-126",
    section: "RFC 6455 §5.5",
    level: "MUST",
    sends: "a Pong of 126 bytes",
    right: "Close 1002",
  }, frame({ opcode: pong, payload: new Uint8Array(126) })),
  violates(
    {
      id: "ctl-ping-fragmented",
      section: "RFC 6455 §5.5",
      level: "MUST",
      sends: "a Ping in two fragments",
      right: "Close 1002",
    },
    concat(frame({ opcode: ping, fin: false, payload: "a" }), frame({ opcode: continuation, payload: "b" })),
  ),
  violates({
    id: "ctl-close-fragmented",
    section: "RFC 6455 §5.5",
    level: "MUST",
    sends: "a Close that is not final",
    right: "Close 1002",
  }, frame({ opcode: close, fin: false, payload: Uint8Array.of(3, 0xe8) })),
  answers({
    id: "ctl-pong-unsolicited",
    section: "RFC 6455 §5.5.3",
    level: "MUST",
    sends: "a Pong that nobody asked for, then a text and a Ping",
    right: "no answer to the Pong, and the others are answered",
  }, async (wire, probe) => {
    await wire.send(frame({ opcode: pong, payload: "unsolicited" }));
    const fault = await probe.findFaultOfEcho(wire);
    return fault === undefined ? pass("passed over") : fail(fault);
  }),
  answers({
    id: "ctl-ping-between",
    section: "RFC 6455 §5.5.2",
    level: "SHOULD",
    sends: "a Ping between two fragments, in one write",
    right: "the Pong, then the answer",
  }, (wire, probe) => betweenFragments(wire, probe, false)),
  answers({
    id: "ctl-ping-between-gap",
    section: "RFC 6455 §5.4",
    level: "MUST",
    sends: "a Ping between two fragments, the second after the Pong",
    right: "the Pong, then the answer",
  }, (wire, probe) => betweenFragments(wire, probe, true)),
  answers({
    id: "ctl-ping-burst",
    section: "RFC 6455 §5.5.3",
    level: "MUST",
    sends: `${BURST} Pings in one write`,
    right: "all Pongs in order, or that of the last",
  }, async (wire) => {
    await wire.send(
      concat(...Array.from({ length: BURST }, (_, i) => frame({ opcode: ping, payload: String(i) }))),
    );
    let last = -1;
    for (let count = 0; last < BURST - 1; count++) {
      const arrival = await wire.next();
      if (arrival.kind !== "frame" || arrival.opcode !== pong) {
        return broken("MUST", `${describeArrival(arrival)} after Pong ${last}`);
      }
      const index = Number(decode(arrival.payload));
      if (!(index > last)) return fail(`Pong ${decode(arrival.payload).slice(0, 20)} after Pong ${last}`);
      last = index;
    }
    return pass("answered in order up to the last");
  }),
]);
