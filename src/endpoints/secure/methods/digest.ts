// The method digest: a hash of some data.
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import * as v from "valibot";
import { invalidParams } from "../json_rpc.ts";
import { defineMethod } from "./method.ts";

/** The names of Web Crypto, and those of `node:crypto`. */
const ALGORITHMS = { "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512" } as const;

/**
 * `{ data, algorithm, encoding }` -> `{ algorithm, digest }`, the digest in lowercase hex. `algorithm` is SHA-256 (default),
 * SHA-384 or SHA-512. `encoding` says what `data` is: `utf8` text (default) or canonical, padded `base64` (RFC 4648 §4).
 */
export const digestMethod = defineMethod({
  name: "digest",
  takes: "`data`, `algorithm` (SHA-256, SHA-384 or SHA-512), `encoding` of the data (utf8 or base64)",
  gives: "`algorithm` and `digest`, in lowercase hex",
  example: { data: "hello", algorithm: "SHA-256" },
  params: v.strictObject({
    data: v.string(),
    algorithm: v.optional(v.picklist(["SHA-256", "SHA-384", "SHA-512"]), "SHA-256"),
    encoding: v.optional(v.picklist(["utf8", "base64"]), "utf8"),
  }),
  run({ data, algorithm, encoding }) {
    const bytes = encoding === "utf8" ? encodeText(data) : decodeBase64(data);
    if (bytes === undefined) return { error: invalidParams("params.data") };
    const digest = createHash(ALGORITHMS[algorithm]).update(bytes).digest("hex");
    return { result: { algorithm, digest } };
  },
});

/** UTF-8 can't write half of a surrogate pair: it would be hashed as another character. */
function encodeText(data: string): Uint8Array | undefined {
  return data.isWellFormed() ? Buffer.from(data, "utf8") : undefined;
}

/** `Buffer` skips what is not base64, so the text is right only if encoding gives it back. */
function decodeBase64(data: string): Uint8Array | undefined {
  const bytes = Buffer.from(data, "base64");
  return bytes.toString("base64") === data ? bytes : undefined;
}
