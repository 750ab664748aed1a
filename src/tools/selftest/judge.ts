// Judges a server's reaction, in the same way for all cases of a kind.

import { OPCODE } from "../../protocol/frame.ts";
import { isValidCloseCode } from "../../protocol/close_code.ts";
import { concat, frame } from "../raw_frame.ts";
import type { Case } from "./case.ts";
import { broken, fail, info, pass, type Verdict, warn } from "./verdict.ts";
import { type Answer, decode, describeAnswer, describeArrival, type Probe, type Wire } from "./probe.ts";

/** The payload of the Ping after an attack, by which its Pong is known. */
const AFTER = "after the attack";

type Declared = Omit<Case, "group" | "class" | "run">;

/** Fills in what all cases of a group have in common. */
export function inGroup(
  group: string,
  cases: readonly (Omit<Case, "group" | "class"> & { readonly class?: Case["class"] })[],
  caseClass: Case["class"] = "harmless",
): readonly Case[] {
  return cases.map((one) => ({ class: caseClass, ...one, group }));
}

/** A request that must not be answered with 101. */
export function refuses(
  declared: Declared,
  head: (probe: Probe) => string | Uint8Array,
  { check, on101 }: {
    /** Judges a refusal further; undefined if it is right. */
    readonly check?: (answer: Answer & { kind: "head" }) => Verdict | undefined;
    /** The result of a 101, if it is not simply wrong. */
    readonly on101?: "info" | "warn";
  } = {},
): Omit<Case, "group" | "class"> {
  return {
    ...declared,
    async run(probe) {
      const { answer } = await probe.ask(head(probe));
      const observed = describeAnswer(answer);
      if (answer.kind === "late") return fail("nothing in time: it hangs on bad input");
      if (answer.kind === "end") return warn(`${observed} without a word`);
      if (answer.kind === "no http") return fail(observed);
      if (answer.status === 101) {
        if (on101 === "info") return info(observed);
        return on101 === "warn" ? warn(observed) : broken(declared.level, observed);
      }
      if (answer.status >= 500 && answer.status !== 501 && answer.status !== 505) {
        return fail(`${observed}: bad input is an error of the server`);
      }
      return check?.(answer) ??
        (answer.status >= 400 || on101 !== undefined ? pass(observed) : warn(observed));
    },
  };
}

/** A request that must be answered with 101. `check` judges the 101 further; undefined if it is right. */
export function accepts(
  declared: Declared,
  head: (probe: Probe) => string | Uint8Array,
  check?: (answer: Answer & { kind: "head" }) => Verdict | undefined,
): Omit<Case, "group" | "class"> {
  return {
    ...declared,
    async run(probe) {
      const { answer } = await probe.ask(head(probe));
      const observed = describeAnswer(answer);
      if (answer.kind !== "head" || answer.status >= 500) return fail(observed);
      if (answer.status !== 101) return broken(declared.level, observed);
      return check?.(answer) ?? pass(observed);
    },
  };
}

/** What came after an attack. */
export interface Reaction {
  /** What shows that the attack was accepted: an answer to it, or to the Ping after it. */
  readonly accepted?: string;
  /** The code of the Close, 1005 without one. */
  readonly closeCode?: number;
  readonly ended: "FIN" | "RST" | "not";
  readonly observed: string;
}

/** Reads until a Close, an end, the Pong after the attack, or until nothing comes in time. */
export async function watch(wire: Wire, probe: Probe): Promise<Reaction> {
  let accepted: string | undefined;
  for (;;) {
    const arrival = await wire.next();
    const observed = describeArrival(arrival);
    const facts = accepted === undefined ? {} : { accepted };
    if (arrival.kind === "late") return { ...facts, ended: "not", observed: accepted ?? observed };
    if (arrival.kind === "oversize") return { accepted: observed, ended: "not", observed };
    if (arrival.kind === "end") {
      return { ...facts, ended: arrival.how === "RST" ? "RST" : "FIN", observed: accepted ?? observed };
    }
    if (arrival.opcode === OPCODE.close) {
      const end = await wire.client.end(probe.timeoutMs);
      const ended = end.kind === "end" && end.how !== "closed here" ? end.how : "not";
      return { ...facts, closeCode: arrival.closeCode!, ended, observed: accepted ?? observed };
    }
    if (arrival.opcode === OPCODE.pong && decode(arrival.payload) === AFTER) {
      return {
        accepted: "the Ping after it is answered",
        ended: "not",
        observed: "the Ping after it is answered",
      };
    }
    // The server may send a Ping at any time.
    if (arrival.opcode !== OPCODE.ping) accepted ??= observed;
  }
}

/** Judges the reaction to something that must fail the connection with one of `codes` (RFC 6455 §7.1.7). */
export function judgeViolation(
  { accepted, closeCode, ended, observed }: Reaction,
  level: Case["level"],
  codes: readonly number[],
): Verdict {
  if (accepted !== undefined) return broken(level, `accepted: ${accepted}`);
  if (closeCode === undefined) {
    return ended === "not"
      ? fail("nothing in time: neither a Close nor an end")
      : warn(`a ${ended} without a Close frame`);
  }
  if (closeCode !== 1005 && !isValidCloseCode(closeCode)) {
    return fail(`${observed}: this code must not be sent`);
  }
  if (closeCode === 1011) return fail(`${observed}: bad input is an error of the server`);
  if (ended === "not") return warn(`${observed}, but the connection is not ended`);
  return codes.includes(closeCode)
    ? pass(observed)
    : warn(`${observed}: the code is not ${codes.join(" or ")}`);
}

/** Frames that must fail the connection. A Ping in the same write shows whether they were accepted. */
export function violates(
  declared: Declared,
  bytes: Uint8Array | ((probe: Probe) => Uint8Array),
  codes: readonly number[] = [1002],
): Omit<Case, "group" | "class"> {
  return {
    ...declared,
    async run(probe) {
      const wire = await probe.open();
      const attack = typeof bytes === "function" ? bytes(probe) : bytes;
      await wire.send(concat(attack, frame({ opcode: OPCODE.ping, payload: AFTER })));
      return judgeViolation(await watch(wire, probe), declared.level, codes);
    },
  };
}

/** A case on an open WebSocket: `check` sends the frames and judges the answers. */
export function answers(
  declared: Declared,
  check: (wire: Wire, probe: Probe) => Promise<Verdict>,
): Omit<Case, "group" | "class"> {
  return { ...declared, run: async (probe) => await check(await probe.open(), probe) };
}
