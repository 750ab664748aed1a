// Tokens: which are accepted, which are refused, and for which of the two reasons.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { jwtVerify } from "jose";
import { importKey, isUnusable, type Key } from "../../src/auth/jwk.ts";
import { KeySet } from "../../src/auth/key_set.ts";
import {
  createVerifier,
  MAX_TOKEN_LENGTH,
  mintToken,
  type Verification,
  type VerifierOptions,
} from "../../src/auth/token.ts";
import { HEADER_LIMITS } from "../../src/core/strict_json.ts";
import { MAX_USER_LENGTH } from "../../src/auth/user_name.ts";
import { UsageError } from "../../src/core/errors.ts";

const SECRET = Buffer.from(Array.from({ length: 32 }, (_, i) => i * 7 + 3));
const NOW_MS = Date.UTC(2030, 0, 1);
const NOW_S = NOW_MS / 1000;
const CLAIMS = { user_id: "alice", exp: NOW_S + 60 };
const HEADER = { alg: "HS256", typ: "JWT" };

async function key(secret: Uint8Array = SECRET): Promise<Key> {
  const imported = await importKey({ kty: "oct", k: Buffer.from(secret).toString("base64url") });
  assert.ok(!isUnusable(imported));
  return imported;
}

const KEY = await key();
const KEYS = new KeySet([KEY]);

function encode(part: unknown): string {
  if (part instanceof Uint8Array) return Buffer.from(part).toString("base64url");
  return Buffer.from(typeof part === "string" ? part : JSON.stringify(part)).toString("base64url");
}

/** Appends the right signature to `header.payload`. */
function sign(input: string, secret: Uint8Array = SECRET, hash = "sha256"): string {
  return `${input}.${createHmac(hash, secret).update(input).digest("base64url")}`;
}

/** A token made by a foreign implementation; a string is taken as raw JSON text. */
function forge(payload: unknown, header: unknown = HEADER): string {
  return sign(`${encode(header)}.${encode(payload)}`);
}

function verify(
  token: string,
  options: Omit<VerifierOptions, "now"> & { nowMs?: number } = {},
): Promise<Verification> {
  const { nowMs = NOW_MS, ...rest } = options;
  return createVerifier(KEYS, { clockToleranceMs: 0, ...rest, now: () => nowMs }).verify(token);
}

async function outcome(token: string, options?: Parameters<typeof verify>[1]): Promise<string> {
  const verification = await verify(token, options);
  return verification.ok ? "ok" : verification.reason;
}

Deno.test("accepts tokens that node:crypto signed", async () => {
  const accepted: [claims: unknown, user: string][] = [
    [CLAIMS, "alice"],
    [{ ...CLAIMS, user_id: 42 }, "42"],
    [{ ...CLAIMS, user_id: 0 }, "0"],
    [{ ...CLAIMS, user_id: -7 }, "-7"],
    [`{"exp":${CLAIMS.exp},"user_id":1.0}`, "1"],
    [{ ...CLAIMS, user_id: "Zoe\u0308" }, "Zo\u00eb"],
    [{ ...CLAIMS, user_id: "\u0645\u06cc\u200c\u062e" }, "\u0645\u06cc\u200c\u062e"],
    [{ ...CLAIMS, user_id: Number.MAX_SAFE_INTEGER }, "9007199254740991"],
    [{ ...CLAIMS, sub: "bob" }, "alice"],
    [{ ...CLAIMS, sub: 5 }, "alice"],
    [{ exp: CLAIMS.exp, sub: "bob" }, "bob"],
    [{ ...CLAIMS, user_id: "Zoë 日本" }, "Zoë 日本"],
    [{ ...CLAIMS, user_id: "x".repeat(MAX_USER_LENGTH) }, "x".repeat(MAX_USER_LENGTH)],
    [{ ...CLAIMS, iat: NOW_S, nbf: NOW_S, jti: "1", roles: ["a"] }, "alice"],
    [{ ...CLAIMS, iat: 0, nbf: 0.5 }, "alice"],
    [` { "exp" : ${CLAIMS.exp}.0, "user_id" : "al\\u0069ce" } `, "alice"],
    [`{"__proto__":{"user_id":"mallory"},"exp":${CLAIMS.exp},"sub":"alice"}`, "alice"],
  ];
  for (const [claims, user] of accepted) {
    const verification = await verify(forge(claims));
    assert.ok(verification.ok, `${JSON.stringify(claims)}: ${JSON.stringify(verification)}`);
    assert.equal(verification.identity.user, user);
    assert.equal(verification.identity.expiresAtMs, CLAIMS.exp * 1000);
    const text = typeof claims === "string" ? claims : JSON.stringify(claims);
    assert.deepEqual(verification.identity.claims, JSON.parse(text));
  }
  for (
    const header of [{ alg: "HS256" }, { ...HEADER, kid: "../../etc/passwd" }, {
      ...HEADER,
      jwk: { kty: "oct", k: "AA" },
    }]
  ) {
    assert.equal(await outcome(forge(CLAIMS, header)), "ok");
  }
});

const [GOOD_HEADER = "", GOOD_PAYLOAD = "", GOOD_SIGNATURE = ""] = forge(CLAIMS).split(".");
const GOOD_INPUT = `${GOOD_HEADER}.${GOOD_PAYLOAD}`;
const GOOD = `${GOOD_INPUT}.${GOOD_SIGNATURE}`;

/** The same bits, but with an unused bit of the last character set. */
function uncanonical(part: string): string {
  assert.notEqual(part.length % 4, 0);
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const twin = part.slice(0, -1) + alphabet[alphabet.indexOf(part.slice(-1)) + 1];
  assert.deepEqual(Buffer.from(twin, "base64url"), Buffer.from(part, "base64url"));
  return twin;
}

const FORM = "token is not three base64url parts";
const CANONICAL = "token is not canonical base64url";
const NOT_OBJECT = "header: not a JSON object";
const ALGORITHM = "algorithm is not that of a key";
const UNSUPPORTED = "algorithm is not supported";
const NO_ALGORITHM = "header has no algorithm";
const CRITICAL = "header has a critical extension";
const SIGNATURE = "signature does not match";
const NO_LENGTH = "it must have 1 to 256 characters";
const NO_CHARACTER = "it has a character that user names must not have";
const NO_OBJECT = "claims: not a JSON object";
const TWICE = "claims: a name occurs twice";

const HOSTILE: [name: string, token: string, detail: string][] = [
  ["an empty string", "", FORM],
  ["one part", GOOD_HEADER, FORM],
  ["two parts", GOOD_INPUT, FORM],
  ["four parts", `${GOOD}.AAAA`, FORM],
  ["five parts", `${GOOD}.AAAA.AAAA`, FORM],
  ["an empty header", `.${GOOD_PAYLOAD}.${GOOD_SIGNATURE}`, FORM],
  ["an empty payload", `${GOOD_HEADER}..${GOOD_SIGNATURE}`, FORM],
  ["an empty signature", `${GOOD_INPUT}.`, FORM],
  ["dots alone", "..", FORM],
  ["a line break in the middle", `${GOOD_HEADER}.\n${GOOD_PAYLOAD}.${GOOD_SIGNATURE}`, FORM],
  ["blanks alone", " \n", FORM],
  ["a space inside", `${GOOD_HEADER} .${GOOD_PAYLOAD}.${GOOD_SIGNATURE}`, FORM],
  ["a NUL after", `${GOOD}\0`, FORM],
  ["the word Bearer before", `Bearer ${GOOD}`, FORM],
  ["padding", `${GOOD}=`, FORM],
  ["the base64 alphabet", `${GOOD_INPUT}.${"+/".repeat(21)}A`, FORM],
  ["full-width letters", `${GOOD_INPUT}.${"\uff21".repeat(43)}`, FORM],
  [
    "JSON serialization",
    JSON.stringify({ protected: GOOD_HEADER, payload: GOOD_PAYLOAD, signature: GOOD_SIGNATURE }),
    FORM,
  ],
  ["a signature of 45 characters", `${GOOD}AA`, CANONICAL],
  ["unused bits in the signature", `${GOOD_INPUT}.${uncanonical(GOOD_SIGNATURE)}`, CANONICAL],
  [
    "unused bits in the payload",
    sign(`${encode({ alg: "HS256" })}.${uncanonical(encode({ ...CLAIMS, x: 10 }))}`),
    CANONICAL,
  ],
  ["alg none, unsigned", `${encode({ alg: "none" })}.${GOOD_PAYLOAD}.`, FORM],
  ["alg none, signed", forge(CLAIMS, { alg: "none" }), UNSUPPORTED],
  ["alg None", forge(CLAIMS, { alg: "None" }), UNSUPPORTED],
  ["alg hs256", forge(CLAIMS, { alg: "hs256" }), UNSUPPORTED],
  [
    "alg HS512 with its own hash",
    sign(`${encode({ alg: "HS512" })}.${GOOD_PAYLOAD}`, SECRET, "sha512"),
    ALGORITHM,
  ],
  ["alg RS256 over an HMAC", forge(CLAIMS, { alg: "RS256" }), ALGORITHM],
  ["alg ES256 over an HMAC", forge(CLAIMS, { alg: "ES256" }), ALGORITHM],
  ["two algs, the last none", forge(CLAIMS, `{"alg":"HS256","alg":"none"}`), "header: a name occurs twice"],
  ["no alg", forge(CLAIMS, { typ: "JWT" }), NO_ALGORITHM],
  ["an empty alg", forge(CLAIMS, { alg: "" }), UNSUPPORTED],
  ["a list of algs", forge(CLAIMS, { alg: ["HS256"] }), NO_ALGORITHM],
  ["a header that is no JSON", forge(CLAIMS, "alg=HS256"), "header: not JSON"],
  ["a header that is a list", forge(CLAIMS, `["HS256"]`), NOT_OBJECT],
  ["a header that is null", forge(CLAIMS, "null"), NOT_OBJECT],
  ["a header that is not UTF-8", forge(CLAIMS, new Uint8Array([0x7b, 0xff, 0x7d])), "header: not UTF-8"],
  ["an unknown crit", forge(CLAIMS, { ...HEADER, crit: ["x"], x: 1 }), CRITICAL],
  ["an empty crit", forge(CLAIMS, { ...HEADER, crit: [] }), CRITICAL],
  ["a crit that is no list", forge(CLAIMS, { ...HEADER, crit: "exp" }), CRITICAL],
  ["b64 true in crit", forge(CLAIMS, { ...HEADER, crit: ["b64"], b64: true }), CRITICAL],
  ["b64 false in crit", forge(CLAIMS, { ...HEADER, crit: ["b64"], b64: false }), CRITICAL],
  ["b64 false without crit", forge(CLAIMS, { ...HEADER, b64: false }), CRITICAL],
  ["another secret", sign(GOOD_INPUT, SECRET.map((byte) => byte ^ 1)), SIGNATURE],
  ["the empty secret", sign(GOOD_INPUT, new Uint8Array()), SIGNATURE],
  [
    "another payload",
    `${GOOD_HEADER}.${encode({ ...CLAIMS, user_id: "mallory" })}.${GOOD_SIGNATURE}`,
    SIGNATURE,
  ],
  ["another header", `${encode({ alg: "HS256", x: 1 })}.${GOOD_PAYLOAD}.${GOOD_SIGNATURE}`, SIGNATURE],
  ["a signature of zeros", `${GOOD_INPUT}.${encode(new Uint8Array(32))}`, SIGNATURE],
  [
    "half a signature",
    `${GOOD_INPUT}.${encode(Buffer.from(GOOD_SIGNATURE, "base64url").subarray(0, 16))}`,
    SIGNATURE,
  ],
  ["a signature of one byte", `${GOOD_INPUT}.AA`, SIGNATURE],
  [
    "an expired token with a bad signature",
    sign(`${GOOD_HEADER}.${encode({ ...CLAIMS, exp: 1 })}`, new Uint8Array(32)),
    SIGNATURE,
  ],
  ["claims that are no JSON", forge("exp=1"), "claims: not JSON"],
  ["claims that are a list", forge([CLAIMS]), NO_OBJECT],
  ["claims that are null", forge("null"), NO_OBJECT],
  ["claims that are a string", forge(`"alice"`), NO_OBJECT],
  ["claims with a byte order mark", forge(`\ufeff${JSON.stringify(CLAIMS)}`), "claims: not JSON"],
  [
    "claims that are not UTF-8",
    forge(Buffer.from(`{"exp":${CLAIMS.exp},"user_id":"\xff"}`, "latin1")),
    "claims: not UTF-8",
  ],
  ["claims with a rest", forge(`${JSON.stringify(CLAIMS)}{}`), "claims: not JSON"],
  ["no exp", forge({ user_id: "alice" }), "claim exp is missing"],
  [
    "exp in the prototype",
    forge(`{"__proto__":{"exp":${CLAIMS.exp}},"user_id":"alice"}`),
    "claim exp is missing",
  ],
  ["exp null", forge({ ...CLAIMS, exp: null }), "claim exp is not a number"],
  ["exp as a string", forge({ ...CLAIMS, exp: String(CLAIMS.exp) }), "claim exp is not a number"],
  ["exp as a list", forge({ ...CLAIMS, exp: [CLAIMS.exp] }), "claim exp is not a number"],
  ["exp 1e400", forge(`{"user_id":"alice","exp":1e400}`), "claims: a number is out of range"],
  ["exp -1e400", forge(`{"user_id":"alice","exp":-1e400}`), "claims: a number is out of range"],
  ["exp in milliseconds", forge({ ...CLAIMS, exp: NOW_MS }), "claim exp is out of range"],
  ["exp at the year 10000", forge({ ...CLAIMS, exp: 253_402_300_800 }), "claim exp is out of range"],
  ["nbf as a string", forge({ ...CLAIMS, nbf: "0" }), "claim nbf is not a number"],
  ["nbf null", forge({ ...CLAIMS, nbf: null }), "claim nbf is not a number"],
  [
    "nbf 1e400",
    forge(`{"user_id":"alice","exp":${CLAIMS.exp},"nbf":1e400}`),
    "claims: a number is out of range",
  ],
  ["nbf in the future", forge({ ...CLAIMS, nbf: NOW_S + 30 }), "claim nbf is in the future"],
  ["iat as a string", forge({ ...CLAIMS, iat: "0" }), "claim iat is not a number"],
  ["iat in the future", forge({ ...CLAIMS, iat: NOW_S + 30 }), "claim iat is in the future"],
  ["no user", forge({ exp: CLAIMS.exp }), "no claim names the user"],
  ["an expired token without a user", forge({ exp: 1 }), "no claim names the user"],
  [
    "user_id in the prototype",
    forge(`{"__proto__":{"user_id":"a"},"exp":${CLAIMS.exp}}`),
    "no claim names the user",
  ],
  ...[
    ["empty", ""],
    ["an object", {}],
    ["a list", ["alice"]],
    ["null", null],
    ["true", true],
    ["a fraction", 1.5],
    ["not a safe integer", 2 ** 53],
    ["of 257 characters", "x".repeat(MAX_USER_LENGTH + 1)],
    ["with a line break", "alice\n"],
    ["with DEL", "alice\x7f"],
    ["with a C1 control", "alice\x9b"],
    ["with a NUL", "alice\0"],
    ["with a bidi override", "\u202eecila"],
    ["with a zero-width space", "alice\u200b"],
    ["with a line separator", "alice\u2028"],
  ].map(([name, user_id]): [string, string, string] => [
    `user_id ${name}, though sub is good`,
    forge({ ...CLAIMS, user_id, sub: "alice" }),
    typeof user_id !== "string"
      ? "claim user_id is not a user"
      : `claim user_id is not a user: ${user_id.length % 257 === 0 ? NO_LENGTH : NO_CHARACTER}`,
  ]),
  [
    "user_id a lone surrogate",
    forge(`{"exp":${CLAIMS.exp},"user_id":"\\ud800"}`),
    `claim user_id is not a user: ${NO_CHARACTER}`,
  ],
  [
    "user_id of two scripts",
    forge({ ...CLAIMS, user_id: "\u0430lice", sub: "alice" }),
    "claim user_id is not a user: it mixes scripts",
  ],
  ...["9007199254740993", "9007199254740990.6", "1.00000000000000000001", "-0.30000000000000000001"].map((
    number,
  ): [string, string, string] => [
    `user_id ${number}, which a double can't hold`,
    forge(`{"exp":${CLAIMS.exp},"user_id":${number},"sub":"alice"}`),
    "claim user_id is not a user",
  ]),
  ...["exp", "nbf", "iat"].map((claim): [string, string, string] => [
    `${claim} with more digits than a double can hold`,
    forge(
      `{${claim === "exp" ? "" : `"exp":${CLAIMS.exp},`}"user_id":"a","${claim}":1.00000000000000000001}`,
    ),
    `claim ${claim} has too many digits`,
  ]),
  ["user_id 1e400", forge(`{"exp":${CLAIMS.exp},"user_id":1e400}`), "claims: a number is out of range"],
  ["exp before 1970", forge({ ...CLAIMS, exp: -1 }), "claim exp is out of range"],
  ["iat before 1970", forge({ ...CLAIMS, iat: -1 }), "claim iat is out of range"],
  ["two exps", forge(`{"exp":1,"exp":${CLAIMS.exp},"user_id":"alice"}`), TWICE],
  ["two users", forge(`{"exp":${CLAIMS.exp},"user_id":"mallory","user_id":"alice"}`), TWICE],
  ["two users, one escaped", forge(`{"exp":${CLAIMS.exp},"user_id":"a","user\\u005fid":"b"}`), TWICE],
  ["two names deep inside", forge(`{"exp":${CLAIMS.exp},"user_id":"a","x":[{"y":1,"y":1}]}`), TWICE],
  [
    "a number beyond any double",
    forge(`{"exp":${CLAIMS.exp},"user_id":"a","x":[9e999]}`),
    "claims: a number is out of range",
  ],
  [
    "claims nested 2500 levels",
    forge(`{"x":${"[".repeat(2500)}${"]".repeat(2500)}}`),
    "claims: nested too deeply",
  ],
  [
    "a header nested deeply",
    forge(CLAIMS, `{"a":${"[".repeat(40)}${"]".repeat(40)}}`),
    "header: nested too deeply",
  ],
  ["a kid that is a number", forge(CLAIMS, { ...HEADER, kid: 1 }), "header kid is not text"],
  ["a kid that is null", forge(CLAIMS, { ...HEADER, kid: null }), "header kid is not text"],
  [
    "an audience that nobody configured",
    forge({ ...CLAIMS, aud: "x" }),
    "claim aud is there, but no audience is configured",
  ],
  ["an audience that is a number", forge({ ...CLAIMS, aud: 1 }), "claim aud is not text"],
  ["a jti that is a number", forge({ ...CLAIMS, jti: 1 }), "claim jti is not text"],
  ["an empty jti", forge({ ...CLAIMS, jti: "" }), "claim jti is not text"],
  ["sub an integer", forge({ exp: CLAIMS.exp, sub: 42 }), "claim sub is not a user"],
  ["sub empty", forge({ exp: CLAIMS.exp, sub: "" }), `claim sub is not a user: ${NO_LENGTH}`],
];

Deno.test("accepts the token that the hostile ones are made from", async () => {
  assert.equal(await outcome(GOOD), "ok");
});

for (const [name, token, detail] of HOSTILE) {
  Deno.test(`calls invalid: ${name}`, async () => {
    assert.deepEqual(await verify(token), { ok: false, reason: "invalid", detail });
  });
}

Deno.test("looks at 8 KiB and nothing longer", async () => {
  const detail = "token is too long";
  for (const excess of [-1, 0, 1]) {
    const token = tokenOfLength(MAX_TOKEN_LENGTH + excess);
    const expected = excess > 0 ? { ok: false, reason: "invalid", detail } : undefined;
    const verification = await verify(token);
    if (expected) assert.deepEqual(verification, expected);
    else assert.equal(verification.ok, true, `${token.length} characters`);
  }
});

/** A good token of exactly this many characters; the header takes up what base64 can't divide. */
function tokenOfLength(length: number): string {
  for (let pad = 0; pad < 4; pad++) {
    const header = { ...HEADER, pad: "x".repeat(pad) };
    const rest = length - forge({ ...CLAIMS, pad: "" }, header).length;
    for (let size = Math.floor(rest * 3 / 4) - 4; size <= rest; size++) {
      const token = forge({ ...CLAIMS, pad: "x".repeat(size) }, header);
      if (token.length === length) return token;
      if (token.length > length) break;
    }
  }
  throw new Error(`no token has ${length} characters`);
}

Deno.test("calls a token expired from the very moment of its exp", async () => {
  const token = forge(CLAIMS);
  const expMs = CLAIMS.exp * 1000;
  assert.equal(await outcome(token, { nowMs: expMs - 1 }), "ok");
  assert.equal(await outcome(token, { nowMs: expMs }), "expired");
  assert.equal(await outcome(token, { nowMs: expMs + 1 }), "expired");
  assert.equal(await outcome(forge({ ...CLAIMS, exp: 0 })), "expired");
  assert.equal(await outcome(forge({ ...CLAIMS, exp: NOW_S + 0.5 }), { nowMs: NOW_MS + 499 }), "ok");
  assert.equal(await outcome(forge({ ...CLAIMS, exp: NOW_S + 0.5 }), { nowMs: NOW_MS + 500 }), "expired");
});

Deno.test("moves the end of a token by a tolerance that is asked for, in the identity too", async () => {
  const token = forge(CLAIMS);
  const endMs = CLAIMS.exp * 1000 + 2500;
  const verification = await verify(token, { clockToleranceMs: 2500, nowMs: endMs - 1 });
  assert.ok(verification.ok);
  assert.equal(verification.identity.expiresAtMs, endMs);
  assert.equal(await outcome(token, { clockToleranceMs: 2500, nowMs: endMs }), "expired");
  assert.equal(await outcome(token, { clockToleranceMs: 2500, nowMs: endMs + 1 }), "expired");
});

Deno.test("lets nbf and iat lie ahead by the tolerance", async () => {
  for (const clockToleranceMs of [5000, 2500, 0]) {
    for (const claim of ["nbf", "iat"]) {
      const token = forge({ ...CLAIMS, [claim]: NOW_S });
      const at = (nowMs: number) => outcome(token, { clockToleranceMs, nowMs });
      assert.equal(await at(NOW_MS - clockToleranceMs + 1), "ok");
      assert.equal(await at(NOW_MS - clockToleranceMs), "ok");
      assert.equal(await at(NOW_MS - clockToleranceMs - 1), "invalid");
    }
  }
});

Deno.test("tolerates 5 s between the clocks unless told otherwise", async () => {
  const token = forge({ ...CLAIMS, iat: NOW_S });
  const at = async (nowMs: number) => {
    const verification = await createVerifier(KEYS, { now: () => nowMs }).verify(token);
    return verification.ok ? "ok" : verification.reason;
  };
  assert.equal(await at(NOW_MS - 5000), "ok");
  assert.equal(await at(NOW_MS - 5001), "invalid");
  assert.equal(await at(CLAIMS.exp * 1000 + 4999), "ok");
  assert.equal(await at(CLAIMS.exp * 1000 + 5000), "expired");
});

Deno.test("asks for the issuer that is configured", async () => {
  const detail = async (claims: unknown) => {
    const verification = await verify(forge(claims), { issuer: "https://id.test" });
    return verification.ok ? "ok" : verification.detail;
  };
  assert.equal(await detail({ ...CLAIMS, iss: "https://id.test" }), "ok");
  assert.equal(await detail({ ...CLAIMS, iss: "https://id.test/" }), "claim iss is not the issuer");
  assert.equal(await detail({ ...CLAIMS, iss: ["https://id.test"] }), "claim iss is not the issuer");
  assert.equal(await detail(CLAIMS), "claim iss is missing");
});

Deno.test("asks for one of the audiences that are configured", async () => {
  const detail = async (aud: unknown) => {
    const verification = await verify(forge({ ...CLAIMS, aud }), { audience: ["chat", "mail"] });
    return verification.ok ? "ok" : verification.detail;
  };
  assert.equal(await detail("chat"), "ok");
  assert.equal(await detail(["other", "mail"]), "ok");
  assert.equal(await detail("Chat"), "claim aud names somebody else");
  assert.equal(await detail([]), "claim aud names somebody else");
  assert.equal(await detail(["chat", 1]), "claim aud is not text");
  assert.equal(await detail({ chat: true }), "claim aud is not text");
  assert.equal(await detail(undefined), "claim aud is missing");
});

Deno.test("asks for the type that is configured, as media types are compared", async () => {
  const detail = async (typ: unknown, tokenType = "at+jwt") => {
    const verification = await verify(forge(CLAIMS, { alg: "HS256", typ }), { tokenType });
    return verification.ok ? "ok" : verification.detail;
  };
  for (const typ of ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"]) {
    assert.equal(await detail(typ), "ok");
    assert.equal(await detail(typ, "application/at+jwt"), "ok");
  }
  for (const typ of ["JWT", "", "text/at+jwt", "at+jwt ", null, 1, ["at+jwt"], undefined]) {
    assert.equal(await detail(typ), "header typ is not the token type");
  }
});

Deno.test("ends a token at its greatest age, counted from its iat", async () => {
  const options = { maxTokenAgeMs: 10_000, clockToleranceMs: 2000 };
  const token = forge({ ...CLAIMS, iat: NOW_S });
  const verification = await verify(token, { ...options, nowMs: NOW_MS + 11_999 });
  assert.ok(verification.ok);
  assert.equal(verification.identity.expiresAtMs, NOW_MS + 12_000);
  assert.deepEqual(await verify(token, { ...options, nowMs: NOW_MS + 12_000 }), {
    ok: false,
    reason: "expired",
    detail: "claim iat is too long ago",
  });
  assert.deepEqual(await verify(forge(CLAIMS), options), {
    ok: false,
    reason: "invalid",
    detail: "claim iat is missing",
  });
  const brief = await verify(forge({ ...CLAIMS, iat: NOW_S, exp: NOW_S + 1 }), options);
  assert.ok(brief.ok && brief.identity.expiresAtMs === NOW_MS + 3000);
});

Deno.test("tells the id and the time of issue of a token that has them", async () => {
  const full = await verify(forge({ ...CLAIMS, jti: "t-1", iat: NOW_S - 1.5 }));
  assert.ok(full.ok);
  assert.equal(full.identity.tokenId, "t-1");
  assert.equal(full.identity.issuedAtMs, NOW_MS - 1500);
  const bare = await verify(forge(CLAIMS));
  assert.ok(bare.ok && !("tokenId" in bare.identity) && !("issuedAtMs" in bare.identity));
});

Deno.test("accepts an exp just below the year 10000", async () => {
  assert.equal(await outcome(forge({ ...CLAIMS, exp: 253_402_300_799 })), "ok");
});

Deno.test("takes a token in a line of its own", async () => {
  for (const token of [`${GOOD}\n`, `${GOOD}\r\n`, ` ${GOOD} `]) assert.equal(await outcome(token), "ok");
});

Deno.test("never answers with a part of the token", async () => {
  for (let cut = 0; cut < GOOD.length; cut++) {
    const verification = await verify(GOOD.slice(0, cut));
    assert.ok(!verification.ok && verification.reason === "invalid", `cut at ${cut}`);
  }
  for (let i = 0; i < GOOD.length; i++) {
    const flipped = GOOD.slice(0, i) + (GOOD[i] === "A" ? "B" : "A") + GOOD.slice(i + 1);
    const verification = await verify(flipped);
    assert.ok(!verification.ok && verification.reason === "invalid", `changed at ${i}`);
    assert.ok(!/eyJ|alice/.test(verification.detail));
  }
});

Deno.test("a header holds few values and names, whoever sends it", async () => {
  // HEADER and its three values are part of it.
  const values = (count: number) => ({ ...HEADER, x: Array(count - 4).fill(0) });
  const names = (count: number) => ({
    ...HEADER,
    ...Object.fromEntries(Array.from({ length: count - 2 }, (_, i) => [`x${i}`, 0])),
  });
  for (const [make, limit] of [[values, HEADER_LIMITS.maxValues], [names, HEADER_LIMITS.maxNames]] as const) {
    assert.equal(await outcome(forge(CLAIMS, make(limit))), "ok");
    const over = await verify(forge(CLAIMS, make(limit + 1)));
    assert.match(over.ok ? "" : over.detail, /^header: too many (values|names)$/);
  }
});

Deno.test("a fault of our own is no fault of the token", async () => {
  const fault = new TypeError("planted");
  const planted = {
    find: () => Promise.reject(fault),
  };
  await assert.rejects(createVerifier(planted, { now: () => NOW_MS }).verify(GOOD), fault);
  // A key that may not verify was given by us.
  const signingOnly = await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const keys = new KeySet([{ ...KEY, verifyingKeys: new Map([[KEY.alg, signingOnly]]) }]);
  await assert.rejects(createVerifier(keys, { now: () => NOW_MS }).verify(GOOD), DOMException);
  await assert.rejects(
    createVerifier(KEYS, {
      now() {
        throw fault;
      },
    }).verify(GOOD),
    fault,
  );
});

Deno.test("mints tokens that a verifier and other software accept", async () => {
  const claims = { roles: ["admin"], nested: { a: 1 } };
  const before = Math.floor(Date.now() / 1000);
  const token = await mintToken(KEY, {
    user: "alice",
    expiresInMs: 60_001,
    claims,
    issuer: "test",
    audience: ["chat"],
  });
  const after = Math.floor(Date.now() / 1000);

  const verification = await createVerifier(KEYS, { audience: ["chat"] }).verify(token);
  assert.ok(verification.ok);
  assert.equal(verification.identity.user, "alice");
  const { payload, protectedHeader } = await jwtVerify(token, SECRET, { subject: "alice", issuer: "test" });
  assert.deepEqual(protectedHeader, HEADER);
  const { iat = 0, exp = 0, jti = "", ...rest } = payload;
  assert.deepEqual(rest, { ...claims, user_id: "alice", sub: "alice", iss: "test", aud: "chat" });
  assert.ok(iat >= before && iat <= after);
  assert.ok(exp >= before + 61 && exp <= after + 62 && Number.isInteger(exp));
  assert.match(jti, /^[0-9a-f-]{36}$/);
  assert.equal(token, sign(token.slice(0, token.lastIndexOf("."))));
});

Deno.test("mints tokens that differ, and tokens that are born expired", async () => {
  const options = { user: "alice", expiresInMs: -10_000, claims: {} };
  const [one, two] = await Promise.all([mintToken(KEY, options), mintToken(KEY, options)]);
  assert.notEqual(one, two);
  const verification = await createVerifier(KEYS).verify(one);
  assert.ok(!verification.ok && verification.reason === "expired");
});

Deno.test("does not verify with another key", async () => {
  const token = await mintToken(KEY, { user: "alice", expiresInMs: 60_000, claims: {} });
  const other = await key(SECRET.map((byte) => byte ^ 128));
  const verification = await createVerifier(new KeySet([other])).verify(token);
  assert.deepEqual(verification, { ok: false, reason: "invalid", detail: SIGNATURE });
});

Deno.test("refuses to mint what no verifier would accept", async () => {
  const good = { user: "alice", expiresInMs: 60_000, claims: {} };
  const refused = [
    { ...good, user: "" },
    { ...good, user: "a\nb" },
    { ...good, user: "x".repeat(MAX_USER_LENGTH + 1) },
    { ...good, expiresInMs: Infinity },
    { ...good, expiresInMs: NaN },
    { ...good, expiresInMs: Date.UTC(10_000) },
    { ...good, claims: { pad: "x".repeat(MAX_TOKEN_LENGTH) } },
    { ...good, claims: { iss: "a" }, issuer: "b" },
    ...["user_id", "sub", "iat", "exp", "jti"].map((name) => ({ ...good, claims: { [name]: 1 } })),
  ];
  for (const options of refused) {
    await assert.rejects(mintToken(KEY, options), UsageError, JSON.stringify(options).slice(0, 100));
  }
  assert.ok(await mintToken(KEY, { ...good, user: "x".repeat(MAX_USER_LENGTH) }));
});
