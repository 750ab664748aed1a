// Which tokens a server accepts: RFC 7519, RFC 7515, RFC 8725. Needs a token, or the key to sign invalid ones.

import { OPCODE } from "../../../protocol/frame.ts";
import { close, text } from "../../raw_frame.ts";
import type { Case } from "../case.ts";
import { fail, pass, Unperformable, type Verdict, warn } from "../verdict.ts";
import { inGroup } from "../judge.ts";
import type { Forge } from "../options.ts";
import { decode, describeAnswer, describeArrival, presentationLines, type Probe } from "../probe.ts";

type Json = Readonly<Record<string, unknown>>;

const DAY_S = 86_400;
const SHORT_LIFE_MS = 2000;

function encode(value: string | Uint8Array): string {
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

async function hmac(secret: string, input: string): Promise<string> {
  // An empty key can't be imported; a zero byte is the same key to HMAC (RFC 2104 §2).
  const bytes = secret === "" ? new Uint8Array(1) : new TextEncoder().encode(secret);
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return encode(new Uint8Array(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(input))));
}

/** A token that is signed with `secret`, by HMAC-SHA-256. */
async function signed(header: Json, claims: Json, secret: string): Promise<string> {
  const input = `${encode(JSON.stringify(header))}.${encode(JSON.stringify(claims))}`;
  return `${input}.${await hmac(secret, input)}`;
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}

function goodClaims(): Json {
  return { sub: "wsward-selftest", user_id: "wsward-selftest", iat: now(), exp: now() + 300 };
}

/** Presents a token and tells whether a session was opened. */
async function presents(
  probe: Probe,
  token: string,
): Promise<{ readonly isOpen: boolean; readonly isError?: boolean; readonly observed: string }> {
  const { present } = probe.options;
  const { answer, wire } = await probe.ask(probe.head(presentationLines(present, token)));
  if (answer.kind !== "head") {
    return { isOpen: false, isError: answer.kind === "late", observed: describeAnswer(answer) };
  }
  if (answer.status !== 101) {
    return { isOpen: false, isError: answer.status >= 500, observed: describeAnswer(answer) };
  }
  if (present === "first") await wire.send(text(token));
  let observed = "";
  for (;;) {
    const arrival = await wire.next();
    if (arrival.kind === "frame" && arrival.closeCode === undefined) {
      // The answer to the token does not decide: what comes after it does, a Close or the Pong.
      if (arrival.opcode === OPCODE.pong) {
        return { isOpen: true, observed: observed || "the Ping is answered" };
      }
      observed ||= JSON.stringify(decode(arrival.payload).slice(0, 60));
      await wire.send(new Uint8Array([0x89, 0x80, 0, 0, 0, 0]));
      continue;
    }
    const isError = arrival.kind === "frame" && arrival.closeCode === 1011;
    // Silent and still open: a Ping would prove nothing, because it may be answered before the token is.
    return {
      isOpen: arrival.kind === "late" && present !== "first",
      isError,
      observed: [observed, describeArrival(arrival)].filter(Boolean).join(", "),
    };
  }
}

/** A token that must not open a session. */
function forged(
  id: string,
  section: string,
  sends: string,
  make: (parts: Parts, forge: Forge) => Promise<string> | string,
  needsKey = false,
): Omit<Case, "group" | "class"> {
  return {
    id,
    section,
    level: "MUST",
    sends,
    right: "no session: a Close, or 401",
    async run(probe) {
      const { forge } = probe.options;
      if (needsKey && forge === undefined) throw new Unperformable("it needs --key-file", "skip");
      const parts = await partsOf(probe);
      return judge(await presents(probe, await make(parts, forge ?? NO_FORGE)));
    },
  };
}

function judge({ isOpen, isError = false, observed }: Awaited<ReturnType<typeof presents>>): Verdict {
  if (isOpen) return fail(`a session is opened: ${observed}`);
  return isError ? fail(`${observed}: a bad token is an error of the server`) : pass(observed);
}

/** A token in its three parts. */
interface Parts {
  readonly header: string;
  readonly payload: string;
  readonly signature: string;
}

/** Stands for the key where a case does not use it. */
const NO_FORGE: Forge = {
  alg: "HS256",
  publicPem: undefined,
  make: () => Promise.reject(new Unperformable("it needs --key-file", "skip")),
  valid: () => Promise.reject(new Unperformable("it needs --key-file", "skip")),
};

async function partsOf(probe: Probe): Promise<Parts> {
  const { token, forge } = probe.options;
  const whole = token ?? await forge?.valid(300_000);
  if (whole === undefined) throw new Unperformable("it needs --token-file or --key-file", "skip");
  const [header = "", payload = "", signature = ""] = whole.split(".");
  return { header, payload, signature };
}

function claimsOf(parts: Parts): Json {
  const text = atob(parts.payload.replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (character) => character.charCodeAt(0))));
}

/** A token signed with the server's key, with valid claims except for these. */
function withClaims(claims: () => Json): (parts: Parts, forge: Forge) => Promise<string> {
  return async (_, forge) =>
    await forge.make({ alg: forge.alg, typ: "JWT" }, { ...goodClaims(), ...claims() });
}

function withHeader(header: Json): (parts: Parts, forge: Forge) => Promise<string> {
  return async (_, forge) => await forge.make({ alg: forge.alg, typ: "JWT", ...header }, goodClaims());
}

/** All cases about tokens. */
export const TOKEN_CASES: readonly Case[] = inGroup("token", [
  {
    id: "token-valid",
    section: "RFC 7519 §7.2",
    level: "MUST",
    sends: "a token that is right",
    right: "a session",
    async run(probe) {
      const { header, payload, signature } = await partsOf(probe);
      const { isOpen, observed } = await presents(probe, `${header}.${payload}.${signature}`);
      return isOpen ? pass(observed) : fail(observed);
    },
  },
  forged(
    "token-none",
    "RFC 8725 §3.1",
    "the algorithm none, without a signature",
    ({ payload }) => `${encode('{"alg":"none","typ":"JWT"}')}.${payload}.`,
  ),
  forged(
    "token-none-case",
    "RFC 8725 §3.1",
    "the algorithm nOnE, with the old signature",
    ({ payload, signature }) => `${encode('{"alg":"nOnE","typ":"JWT"}')}.${payload}.${signature}`,
  ),
  forged(
    "token-wrong-key",
    "RFC 7515 §5.2",
    "a token of another secret",
    (parts) => signed({ alg: "HS256", typ: "JWT" }, claimsOf(parts), "this is not the secret of anybody"),
  ),
  forged(
    "token-empty-key",
    "RFC 8725 §3.5",
    "a token signed with an empty secret",
    (parts) => signed({ alg: "HS256", typ: "JWT" }, claimsOf(parts), ""),
  ),
  forged(
    "token-tampered",
    "RFC 7515 §5.2",
    "another user under the old signature",
    (parts) =>
      `${parts.header}.${
        encode(JSON.stringify({ ...claimsOf(parts), sub: "root", user_id: "root" }))
      }.${parts.signature}`,
  ),
  forged(
    "token-no-signature",
    "RFC 7515 §5.2",
    "a token with nothing after the second dot",
    ({ header, payload }) => `${header}.${payload}.`,
  ),
  forged(
    "token-two-segments",
    "RFC 7515 §7.1",
    "a token of two parts",
    ({ header, payload }) => `${header}.${payload}`,
  ),
  forged(
    "token-padded",
    "RFC 7515 §2",
    "a signature with padding",
    ({ header, payload, signature }) => `${header}.${payload}.${signature}==`,
  ),
  forged(
    "token-long",
    "RFC 8725 §3",
    "a token of 18 kB",
    ({ header, signature }) => `${header}.${encode("a".repeat(13_500))}.${signature}`,
  ),
  forged("token-jwk", "RFC 8725 §3.10", "a key of its own in the header", async (parts) => {
    const secret = "a secret that the sender has chosen";
    return await signed(
      { alg: "HS256", typ: "JWT", jwk: { kty: "oct", k: encode(secret) } },
      claimsOf(parts),
      secret,
    );
  }),
  forged(
    "token-kid-traversal",
    "RFC 8725 §3.10",
    "a kid that names /dev/null, and an empty secret",
    (parts) => signed({ alg: "HS256", typ: "JWT", kid: "../../../../dev/null" }, claimsOf(parts), ""),
  ),
  forged(
    "token-public-key-as-secret",
    "RFC 8725 §3.1",
    "HS256 with the public key as the secret",
    async (parts, { publicPem }) => {
      if (publicPem === undefined) throw new Unperformable("the key is a secret", "skip");
      return await signed({ alg: "HS256", typ: "JWT" }, claimsOf(parts), publicPem);
    },
    true,
  ),
  forged(
    "token-crit",
    "RFC 7515 §4.1.11",
    "a critical header that nobody knows",
    withHeader({ crit: ["x-unknown"], "x-unknown": true }),
    true,
  ),
  forged("token-b64", "RFC 7797 §7", "b64 in the header", withHeader({ crit: ["b64"], b64: false }), true),
  forged(
    "token-expired",
    "RFC 7519 §4.1.4",
    "exp an hour ago",
    withClaims(() => ({ exp: now() - 3600 })),
    true,
  ),
  forged("token-no-exp", "RFC 8725 §3", "no exp", withClaims(() => ({ exp: undefined })), true),
  forged(
    "token-exp-text",
    "RFC 7519 §4.1.4",
    "exp as text",
    withClaims(() => ({ exp: String(now() + 300) })),
    true,
  ),
  forged("token-exp-huge", "RFC 7519 §4.1.4", "exp 1e30", withClaims(() => ({ exp: 1e30 })), true),
  forged(
    "token-nbf-ahead",
    "RFC 7519 §4.1.5",
    "nbf tomorrow",
    withClaims(() => ({ nbf: now() + DAY_S, exp: now() + 2 * DAY_S })),
    true,
  ),
  forged(
    "token-iat-ahead",
    "RFC 7519 §4.1.6",
    "iat tomorrow",
    withClaims(() => ({ iat: now() + DAY_S, exp: now() + 2 * DAY_S })),
    true,
  ),
  {
    id: "token-data-before",
    section: "RFC 6455 §10.5",
    level: "MUST",
    sends: "a message before the token",
    right: "no answer to it: a Close",
    async run(probe) {
      if (probe.options.present !== "first") {
        throw new Unperformable("the token is part of the handshake", "skip");
      }
      const parts = await partsOf(probe);
      const wire = await probe.open({ authenticates: false });
      await wire.send(text(probe.options.send));
      await wire.send(text(`${parts.header}.${parts.payload}.${parts.signature}`));
      for (;;) {
        const arrival = await wire.next();
        if (arrival.kind !== "frame" || arrival.closeCode !== undefined) {
          return arrival.kind === "late" ? warn("nothing in time") : pass(describeArrival(arrival));
        }
        if (decode(arrival.payload).includes(probe.options.send)) {
          return fail(`it is answered: ${describeArrival(arrival)}`);
        }
        await wire.send(close());
      }
    },
  },
  {
    id: "token-expiry-in-session",
    section: "RFC 7519 §4.1.4",
    level: "SHOULD",
    sends: "a token that expires two seconds later",
    right: "the end of the session when it does",
    isSlow: true,
    async run(probe) {
      const { forge, present, thresholds } = probe.options;
      if (forge === undefined) throw new Unperformable("it needs --key-file", "skip");
      const token = await forge.valid(SHORT_LIFE_MS);
      const { answer, wire } = await probe.ask(probe.head(presentationLines(present, token)));
      if (answer.kind !== "head" || answer.status !== 101) return fail(describeAnswer(answer));
      if (present === "first") await wire.send(text(token));
      const deadlineMs = performance.now() + SHORT_LIFE_MS + thresholds.hangUpMs;
      for (;;) {
        const arrival = await wire.next(deadlineMs - performance.now());
        if (arrival.kind === "late") return warn(`still open ${thresholds.hangUpMs / 1000} s after it`);
        if (arrival.kind !== "frame" || arrival.closeCode !== undefined) {
          return pass(describeArrival(arrival));
        }
      }
    },
  },
  {
    id: "auth-silent",
    section: "RFC 6455 §10.5",
    level: "SHOULD",
    sends: "no token at all (--silence-threshold)",
    right: "a Close",
    class: "limit",
    isSlow: true,
    async run(probe) {
      if (probe.options.present !== "first") {
        throw new Unperformable("the token is part of the handshake", "skip");
      }
      await partsOf(probe);
      const wire = await probe.open({ authenticates: false });
      const deadlineMs = performance.now() + probe.options.thresholds.silenceMs;
      for (;;) {
        const arrival = await wire.next(deadlineMs - performance.now());
        if (arrival.kind === "late") {
          return warn(`still open after ${probe.options.thresholds.silenceMs / 1000} s`);
        }
        if (arrival.kind !== "frame" || arrival.closeCode !== undefined) {
          return pass(describeArrival(arrival));
        }
      }
    },
  },
]);
