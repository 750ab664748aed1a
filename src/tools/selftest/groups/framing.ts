// Frames and fragments: RFC 6455 §5.1 to §5.4.

import { OPCODE } from "../../../protocol/frame.ts";
import { close, concat, frame, text } from "../../raw_frame.ts";
import type { Case } from "../case.ts";
import { fail, pass, Unperformable, warn } from "../verdict.ts";
import { answers, inGroup, judgeViolation, violates, watch } from "../judge.ts";
import { describeArrival } from "../probe.ts";

const { continuation, ping } = OPCODE;

/** Skips a case that needs an answer to a message if the server gives none. */
function needsAnswers(kind: string): void {
  if (kind === "none") {
    throw new Unperformable("the server answers no message: see --send and --expect", "skip");
  }
}

const FRAMING = inGroup("framing", [
  answers({
    id: "fr-echo",
    section: "RFC 6455 §5.6",
    level: "MUST",
    sends: "a text, then a Ping",
    right: "the answer, then the Pong",
  }, async (wire, probe) => {
    const fault = await probe.findFaultOfEcho(wire);
    return fault === undefined ? pass("both are answered") : fail(fault);
  }),
  violates({
    id: "fr-unmasked-text",
    section: "RFC 6455 §5.1",
    level: "MUST",
    sends: "a text that is not masked",
    right: "Close 1002",
  }, text("unmasked", { masked: false })),
  violates({
    id: "fr-unmasked-ping",
    section: "RFC 6455 §5.1",
    level: "MUST",
    sends: "a Ping that is not masked",
    right: "Close 1002",
  }, frame({ opcode: ping, masked: false })),
  {
    id: "fr-unmasked-close",
    section: "RFC 6455 §5.1",
    level: "MUST",
    sends: "a Close that is not masked",
    right: "Close 1002",
    async run(probe) {
      const wire = await probe.open();
      await wire.send(close(1000, "", false));
      const reaction = await watch(wire, probe);
      return reaction.closeCode === 1000 || reaction.closeCode === 1005
        ? fail(`accepted: it is answered with ${reaction.observed}`)
        : judgeViolation(reaction, "MUST", [1002]);
    },
  },
  violates({
    id: "fr-rsv1",
    section: "RFC 6455 §5.2",
    level: "MUST",
    sends: "a text with RSV1",
    right: "Close 1002",
  }, text("rsv1", { rsv: 4 })),
  violates({
    id: "fr-rsv2",
    section: "RFC 6455 §5.2",
    level: "MUST",
    sends: "a text with RSV2",
    right: "Close 1002",
  }, text("rsv2", { rsv: 2 })),
  violates({
    id: "fr-rsv3",
    section: "RFC 6455 §5.2",
    level: "MUST",
    sends: "a text with RSV3",
    right: "Close 1002",
  }, text("rsv3", { rsv: 1 })),
  violates({
    id: "fr-rsv-ping",
    section: "RFC 6455 §5.2",
    level: "MUST",
    sends: "a Ping with RSV1",
    right: "Close 1002",
  }, frame({ opcode: ping, rsv: 4 })),
  ...[3, 7, 11, 15].map((opcode) =>
    violates({
      id: `fr-opcode-${opcode.toString(16)}`,
      section: "RFC 6455 §5.2",
      level: "MUST",
      sends: `a frame with the reserved opcode ${opcode}`,
      right: "Close 1002",
    }, frame({ opcode }))
  ),
  violates({
    id: "fr-length-nonminimal",
    section: "RFC 6455 §5.2",
    level: "SHOULD",
    sends: "a length in more bytes than it needs",
    right: "Close 1002",
  }, text("long", { lengthForm: 64 })),
  violates(
    {
      id: "fr-length-msb",
      section: "RFC 6455 §5.2",
      level: "MUST",
      sends: "a length with its highest bit set",
      right: "Close 1002",
    },
    frame({ opcode: OPCODE.binary, claimedLength: 2n ** 63n + 5n }),
    [1002, 1009],
  ),
  {
    class: "limit",
    id: "fr-length-huge-claim",
    section: "RFC 6455 §10.4",
    level: "SHOULD",
    sends: "a frame that claims 2^62 bytes",
    right: "Close 1009, before any of it has come",
    async run(probe) {
      const wire = await probe.open();
      await wire.send(frame({ opcode: OPCODE.binary, claimedLength: 2n ** 62n }));
      const reaction = await watch(wire, probe);
      return reaction.ended === "not" && reaction.closeCode === undefined
        ? warn("nothing in time: it waits for what is claimed")
        : judgeViolation(reaction, "SHOULD", [1009, 1002]);
    },
  },
  answers({
    id: "fr-byte-by-byte",
    section: "RFC 6455 §5.2",
    level: "MUST",
    sends: "a text, a byte at a time",
    right: "the answer",
  }, async (wire, probe) => {
    needsAnswers(probe.manner.kind);
    for (const byte of text(probe.options.send)) await wire.send(Uint8Array.of(byte));
    const arrival = await wire.next();
    return probe.isAnswer(arrival, probe.options.send) ? pass("the answer") : fail(describeArrival(arrival));
  }),
  answers({
    id: "fr-coalesced",
    section: "RFC 6455 §5.2",
    level: "MUST",
    sends: "five texts in one write",
    right: "five answers, in order",
  }, async (wire, probe) => {
    needsAnswers(probe.manner.kind);
    const { send } = probe.options;
    const texts = probe.manner.kind === "echo"
      ? [1, 2, 3, 4, 5].map((i) => `${send} ${i}`)
      : Array<string>(5).fill(send);
    await wire.send(concat(...texts.map((one) => text(one))));
    for (const [index, one] of texts.entries()) {
      const arrival = await wire.next();
      if (!probe.isAnswer(arrival, one)) return fail(`${describeArrival(arrival)} for text ${index + 1}`);
    }
    return pass("five answers in order");
  }),
]);

const FRAGMENTS = inGroup("fragments", [
  violates({
    id: "frag-orphan",
    section: "RFC 6455 §5.4",
    level: "MUST",
    sends: "a continuation without a beginning",
    right: "Close 1002",
  }, frame({ opcode: continuation, payload: "orphan" })),
  violates({
    id: "frag-interleaved-final",
    section: "RFC 6455 §5.4",
    level: "MUST",
    sends: "a whole text inside an unfinished one",
    right: "Close 1002",
  }, concat(text("one", { fin: false }), text("two"))),
  violates(
    {
      id: "frag-interleaved-nonfinal",
      section: "RFC 6455 §5.4",
      level: "MUST",
      sends: "a text that begins inside an unfinished one",
      right: "Close 1002",
    },
    concat(
      text("one", { fin: false }),
      text("two", { fin: false }),
      frame({ opcode: continuation, payload: "three" }),
    ),
  ),
  answers({
    id: "frag-empty",
    section: "RFC 6455 §5.4",
    level: "MUST",
    sends: "a text of five fragments, some of them empty",
    right: "the answer to the whole",
  }, async (wire, probe) => {
    needsAnswers(probe.manner.kind);
    const { send } = probe.options;
    const part = (payload: string, fin = false) => frame({ opcode: continuation, payload, fin });
    const middle = send.length >> 1;
    await wire.send(
      concat(
        text("", { fin: false }),
        part(send.slice(0, middle)),
        part(""),
        part(send.slice(middle)),
        part("", true),
      ),
    );
    const arrival = await wire.next();
    return probe.isAnswer(arrival, send) ? pass("the answer") : fail(describeArrival(arrival));
  }),
  violates({
    id: "frag-rsv-continuation",
    section: "RFC 6455 §5.2",
    level: "MUST",
    sends: "a continuation with RSV1",
    right: "Close 1002",
  }, concat(text("one", { fin: false }), frame({ opcode: continuation, rsv: 4, payload: "two" }))),
]);

/** All cases about frames and fragments. */
export const FRAMING_CASES: readonly Case[] = [...FRAMING, ...FRAGMENTS];
