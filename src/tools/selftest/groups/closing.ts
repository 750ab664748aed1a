// The closing handshake: RFC 6455 §5.5.1 and §7.

import { OPCODE } from "../../../protocol/frame.ts";
import { close, concat, frame, text } from "../../raw_frame.ts";
import type { Case } from "../case.ts";
import { fail, pass, type Verdict, warn, worst } from "../verdict.ts";
import { answers, inGroup, judgeViolation, violates, watch } from "../judge.ts";
import { describeArrival, type Probe, type Wire } from "../probe.ts";

/** Codes that must not be on the wire (RFC 6455 §7.4). */
const INVALID_CODES = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535];
const VALID_CODES = [3000, 4999];
const POLL_MS = 200;

/** Judges the answer to a Close with a legal code: it is usually the same code (RFC 6455 §5.5.1). */
function judgeAnswer(
  { closeCode, ended, observed }: Awaited<ReturnType<typeof watch>>,
  code: number,
): Verdict {
  if (closeCode === undefined) return fail(`no Close: ${observed}`);
  // No code and 1000 mean the same.
  const isSame = closeCode === code || [closeCode, code].every((one) => one === 1000 || one === 1005);
  if (!isSame) return warn(`${observed} for Close ${code}`);
  return ended === "not"
    ? fail(`${observed}, but the connection is not ended`)
    : pass(`${observed}, then ${ended}`);
}

/** All cases about closing. */
export const CLOSING_CASES: readonly Case[] = inGroup("closing", [
  answers({
    id: "close-echo",
    section: "RFC 6455 §5.5.1",
    level: "MUST",
    sends: "Close 1000 with a reason",
    right: "Close 1000, then the end",
  }, async (wire, probe) => {
    await wire.send(close(1000, "bye"));
    return judgeAnswer(await watch(wire, probe), 1000);
  }),
  answers({
    id: "close-empty",
    section: "RFC 6455 §7.4.1",
    level: "MUST",
    sends: "a Close without a code",
    right: "one without, or with 1000; never 1005",
  }, async (wire, probe) => {
    await wire.send(close());
    const arrival = await wire.next();
    if (arrival.kind === "frame" && arrival.closeCode === 1005 && arrival.payload.length > 0) {
      return fail(arrival.payload.length === 1 ? "a Close of one byte" : "Close 1005 on the wire");
    }
    if (arrival.kind !== "frame" || arrival.closeCode === undefined) return fail(describeArrival(arrival));
    const end = await wire.client.end(probe.timeoutMs);
    const ended = end.kind === "end" ? end.how === "RST" ? "RST" : "FIN" : "not";
    return judgeAnswer({ closeCode: arrival.closeCode, ended, observed: describeArrival(arrival) }, 1005);
  }),
  violates({
    id: "close-one-byte",
    section: "RFC 6455 §5.5.1",
    level: "MUST",
    sends: "a Close with half a code",
    right: "Close 1002",
  }, frame({ opcode: OPCODE.close, payload: Uint8Array.of(3) })),
  {
    id: "close-126",
    section: "RFC 6455 §5.5",
    level: "MUST",
    sends: "a Close of 126 bytes",
    right: "Close 1002",
    async run(probe) {
      const wire = await probe.open();
      await wire.send(close(1000, "a".repeat(124)));
      const reaction = await watch(wire, probe);
      return reaction.closeCode === 1000 || reaction.closeCode === 1005
        ? fail(`accepted: it is answered with ${reaction.observed}`)
        : judgeViolation(reaction, "MUST", [1002]);
    },
  },
  {
    id: "close-code-invalid",
    section: "RFC 6455 §7.4",
    level: "MUST",
    sends: `the codes ${INVALID_CODES.join(", ")}`,
    right: "Close 1002 for each",
    async run(probe) {
      const verdicts: Verdict[] = [];
      for (const code of INVALID_CODES) {
        const wire = await probe.open();
        await wire.send(close(code));
        const reaction = await watch(wire, probe);
        // 1005 stands for a Close without a code, which is an answer as if to a legal code.
        const isTaken = reaction.closeCode === code || reaction.closeCode === 1005 ||
          reaction.closeCode === 1000;
        const verdict = isTaken
          ? fail(`accepted: it is answered with ${reaction.observed}`)
          : judgeViolation(reaction, "MUST", [1002]);
        verdicts.push({ ...verdict, observed: `${code}: ${verdict.observed}` });
        wire.close();
      }
      const most = worst(verdicts);
      return most.result === "pass" ? pass("Close 1002 for each") : most;
    },
  },
  {
    id: "close-code-valid",
    section: "RFC 6455 §7.4.2",
    level: "MUST",
    sends: `the codes ${VALID_CODES.join(" and ")}`,
    right: "a Close with the same code",
    async run(probe) {
      const verdicts: Verdict[] = [];
      for (const code of VALID_CODES) {
        const wire = await probe.open();
        await wire.send(close(code));
        verdicts.push(judgeAnswer(await watch(wire, probe), code));
      }
      return worst(verdicts);
    },
  },
  answers({
    id: "close-then-data",
    section: "RFC 6455 §5.5.1",
    level: "MUST",
    sends: "a text after the Close",
    right: "Close, and nothing for the text",
  }, async (wire, probe) => {
    await wire.send(concat(close(1000), text(probe.options.send)));
    const first = await wire.next();
    if (first.kind !== "frame" || first.closeCode === undefined) return fail(describeArrival(first));
    const second = await wire.next();
    return second.kind === "end" || second.kind === "late"
      ? pass(describeArrival(first))
      : fail(`${describeArrival(second)} after the Close`);
  }),
  answers({
    id: "close-twice",
    section: "RFC 6455 §5.5.1",
    level: "SHOULD",
    sends: "two Close frames",
    right: "one Close",
  }, async (wire) => {
    await wire.send(concat(close(1000), close(1001)));
    const first = await wire.next();
    if (first.kind !== "frame" || first.closeCode === undefined) return fail(describeArrival(first));
    const second = await wire.next();
    if (second.kind === "end") return pass(describeArrival(first));
    return warn(`${describeArrival(second)} after the Close`);
  }),
  answers({
    id: "close-mid-message",
    section: "RFC 6455 §5.5.1",
    level: "MUST",
    sends: "a Close inside an unfinished text",
    right: "Close 1000",
  }, async (wire, probe) => {
    await wire.send(concat(text("one", { fin: false }), close(1000)));
    return judgeAnswer(await watch(wire, probe), 1000);
  }),
  answers({
    id: "close-after-text",
    section: "RFC 6455 §7.1.2",
    level: "SHOULD",
    sends: "a text and a Close in one write",
    right: "the answer, then Close 1000",
  }, async (wire, probe) => {
    await wire.send(concat(text(probe.options.send), close(1000)));
    const first = await wire.next();
    if (probe.manner.kind === "none") {
      return first.kind === "frame" && first.closeCode !== undefined
        ? pass(describeArrival(first))
        : fail(describeArrival(first));
    }
    if (!probe.isAnswer(first, probe.options.send)) {
      return first.kind === "frame" && first.closeCode !== undefined
        ? warn("Close, but no answer")
        : fail(describeArrival(first));
    }
    return judgeAnswer(await watch(wire, probe), 1000);
  }),
  answers({
    id: "close-half",
    section: "RFC 6455 §7.1.1",
    level: "SHOULD",
    sends: "FIN without a Close, and reads on",
    right: "the end of the connection",
  }, async (wire, probe) => {
    await wire.client.closeWrite();
    const end = await wire.client.end(probe.timeoutMs);
    return end.kind === "end" ? pass(`a ${end.how}`) : warn("the connection is not ended");
  }),
  {
    ...answers({
      id: "close-hung-up",
      section: "RFC 6455 §7.1.1",
      level: "SHOULD",
      sends: "a Close, but no FIN after the server's",
      right: "a socket that is let go of",
    }, async (wire, probe) => {
      await wire.send(close(1000));
      const reaction = await watch(wire, probe);
      if (reaction.ended === "RST") return pass("RST");
      if (reaction.ended === "not") return fail("the connection is not ended");
      return await watchLettingGo(wire, probe);
    }),
    isSlow: true,
  },
  {
    ...answers({
      id: "close-unanswered",
      section: "RFC 6455 §7.1.1",
      level: "SHOULD",
      sends: "no answer to the Close that a reserved opcode brings",
      right: "the end, in time",
    }, async (wire, probe) => {
      await wire.send(frame({ opcode: 3 }));
      const end = await wire.client.end(probe.options.thresholds.hangUpMs);
      return end.kind === "end" ? pass(`a ${end.how}`) : warn("the connection is not ended");
    }),
    isSlow: true,
  },
]);

/** After its FIN, a closed socket answers bytes with RST; one that is only half closed takes them. */
async function watchLettingGo(wire: Wire, probe: Probe): Promise<Verdict> {
  const startMs = performance.now();
  const { hangUpMs } = probe.options.thresholds;
  while (performance.now() - startMs < hangUpMs) {
    const failure = await wire.send(Uint8Array.of(0), 1000);
    if (failure?.kind === "end") {
      return pass(`let go of within ${Math.ceil((performance.now() - startMs) / 1000)} s`);
    }
    await probe.sleep(POLL_MS);
  }
  return warn(`held after ${hangUpMs / 1000} s`);
}
