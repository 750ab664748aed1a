// The method validate_email: whether a text has the form of an e-mail address.
import { Buffer } from "node:buffer";
import * as v from "valibot";
import validator from "validator/lib/isEmail.js";
import { defineMethod } from "./method.ts";

// The package is CommonJS and exports its function twice; this is the one that its types know.
const isEmail = validator.default;

/** RFC 5321 §4.5.3.1.3: a path of 256 bytes with its angle brackets. */
const MAX_ADDRESS_SIZE = 254;
/** RFC 5321 §4.5.3.1.1. */
const MAX_LOCAL_PART_SIZE = 64;

/** `{ address }` -> `{ valid: true }` or `{ valid: false, reason }`, the reason in words. Nothing is looked up. */
export const validateEmailMethod = defineMethod({
  name: "validate_email",
  takes: "`address`",
  gives: "`valid`, and a `reason` when it is not; nothing is looked up",
  example: { address: "ada@example.com" },
  params: v.strictObject({ address: v.string() }),
  run({ address }) {
    const reason = findFault(address);
    return { result: reason === undefined ? { valid: true } : { valid: false, reason } };
  },
});

function findFault(address: string): string | undefined {
  // First of all: checking the form takes more than linear time.
  if (address.length > MAX_ADDRESS_SIZE || Buffer.byteLength(address) > MAX_ADDRESS_SIZE) {
    return `the address is longer than ${MAX_ADDRESS_SIZE} bytes`;
  }
  if (/\p{C}/u.test(address)) return "the address has a control character or an invisible one";
  return isEmail(address) ? undefined : explain(address);
}

/** Why an address that is known to be wrong is wrong. */
function explain(address: string): string {
  const at = address.lastIndexOf("@");
  const local = address.slice(0, Math.max(at, 0));
  const domain = address.slice(at + 1);
  if (address === "") return "the address is empty";
  if (at < 0) return "there is no @";
  if (local === "") return "there is nothing before the @";
  if (domain === "") return "there is nothing after the @";
  if (/\s/u.test(address)) return "there is a space in it";
  if (Buffer.byteLength(local) > MAX_LOCAL_PART_SIZE) {
    return `the part before the @ is longer than ${MAX_LOCAL_PART_SIZE} bytes`;
  }
  if (/^\.|\.\.|\.$/.test(local)) return "there is a misplaced dot before the @";
  if (/^\.|\.\.|\.$/.test(domain)) return "there is a misplaced dot after the @";
  if (!domain.includes(".")) return "the domain has no dot";
  return isEmail(`a@${domain}`)
    ? "the part before the @ is not well formed"
    : "the domain is not well formed";
}
