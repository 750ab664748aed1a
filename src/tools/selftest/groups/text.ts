// UTF-8 in texts and reasons: RFC 6455 §8.1, RFC 3629.

import { OPCODE } from "../../../protocol/frame.ts";
import { close, concat, frame, text } from "../../raw_frame.ts";
import type { Case } from "../case.ts";
import { fail, info, pass, Unperformable } from "../verdict.ts";
import { answers, inGroup, violates } from "../judge.ts";
import { describeArrival } from "../probe.ts";

/** A byte order mark, then characters of one to four bytes, at the ends of each length and beside the surrogates. */
const VALID = "\ufeffa\u007f\u0080\u07ff\u0800\uffff\u{10000}\u{10ffff}\ud7ff\ue000";
const INVALID_CODES = [1007];

function invalid(id: string, sends: string, bytes: readonly number[]): Omit<Case, "group" | "class"> {
  const declared = { id, section: "RFC 6455 §8.1", level: "MUST", sends, right: "Close 1007" } as const;
  return violates(declared, text(Uint8Array.from(bytes)), INVALID_CODES);
}

function inFragments(...parts: readonly (readonly number[])[]): Uint8Array {
  return concat(...parts.map((part, i) =>
    frame({
      opcode: i === 0 ? OPCODE.text : OPCODE.continuation,
      fin: i === parts.length - 1,
      payload: Uint8Array.from(part),
    })
  ));
}

/** All cases about text. */
export const TEXT_CASES: readonly Case[] = inGroup("text", [
  answers({
    id: "utf8-valid",
    section: "RFC 6455 §5.6",
    level: "MUST",
    sends: "every kind of character",
    right: "the answer",
  }, async (wire, probe) => {
    if (probe.manner.kind !== "echo") throw new Unperformable("the server is no echo", "skip");
    await wire.send(text(VALID));
    const arrival = await wire.next();
    // Decoders differ on a byte order mark, and RFC 6455 does not mention it.
    return probe.isAnswer(arrival, VALID) || probe.isAnswer(arrival, VALID.slice(1))
      ? pass("the answer")
      : fail(describeArrival(arrival));
  }),
  answers({
    id: "utf8-split",
    section: "RFC 6455 §5.6",
    level: "MUST",
    sends: "fragments that end inside a character",
    right: "the answer",
  }, async (wire, probe) => {
    if (probe.manner.kind !== "echo") throw new Unperformable("the server is no echo", "skip");
    await wire.send(inFragments([0x61, 0xf0, 0x9f], [0x98], [0x80, 0x62]));
    const arrival = await wire.next();
    return probe.isAnswer(arrival, "a\u{1f600}b") ? pass("the answer") : fail(describeArrival(arrival));
  }),
  invalid("utf8-invalid", "bytes that are not UTF-8", [0x61, 0xff, 0x62]),
  invalid("utf8-surrogate", "half of a surrogate pair", [0xed, 0xa0, 0x80]),
  invalid("utf8-overlong", "a slash in two bytes", [0xc0, 0xaf]),
  invalid("utf8-above-10ffff", "a character above U+10FFFF", [0xf4, 0x90, 0x80, 0x80]),
  invalid("utf8-truncated", "a text that ends inside a character", [0x61, 0xe2, 0x82]),
  violates(
    {
      id: "utf8-across-fragments",
      section: "RFC 6455 §8.1",
      level: "MUST",
      sends: "a character that is broken between fragments",
      right: "Close 1007",
    },
    inFragments([0x61, 0xe2, 0x82], [0x41]),
    INVALID_CODES,
  ),
  violates(
    {
      id: "utf8-truncated-last-fragment",
      section: "RFC 6455 §8.1",
      level: "MUST",
      sends: "a last fragment that ends inside a character",
      right: "Close 1007",
    },
    inFragments([0x61], [0xe2, 0x82]),
    INVALID_CODES,
  ),
  violates(
    {
      id: "utf8-close-reason",
      section: "RFC 6455 §8.1",
      level: "MUST",
      sends: "a reason that is not UTF-8",
      right: "Close 1007",
    },
    close(1000, Uint8Array.of(0xff)),
    [1007, 1002],
  ),
  answers({
    id: "utf8-fail-fast",
    section: "RFC 6455 §8.1",
    level: "SHOULD",
    sends: "the beginning of a text, with a byte that is not UTF-8",
    right: "Close 1007 at once, or at the end of the text",
  }, async (wire) => {
    await wire.send(
      frame({ opcode: OPCODE.text, payload: Uint8Array.of(0x61, 0xff), claimedLength: 100n, lengthForm: 7 }),
    );
    const arrival = await wire.next(500);
    return arrival.kind === "late"
      ? info("nothing before the end of the frame")
      : pass(describeArrival(arrival));
  }),
]);
