// Faults of tokens, claims and keys.

import { faultsOf } from "../../scripts/mutants/mutant.ts";

export const AUTH = [
  ...faultsOf("src/auth/token.ts", ["tests/auth/token_test.ts"], [
    ["the signature", "if (!isSigned) return { ok: false, ...otherwise };", ""],
    ["the length of a token", "if (token.length > MAX_TOKEN_LENGTH) return", "if (false) return"],
    [
      "other forms of base64url",
      'if (!token.split(".").every(isBase64url)) return "token is not canonical base64url";',
      "",
    ],
    ["critical extensions", '["crit", "b64"].some', "[].some"],
    ["the type", "tokenType !== undefined && !isMediaType(typ, tokenType)", "false"],
    ["a kid that is no text", 'kid !== undefined && typeof kid !== "string"', "false"],
    ["a claim that the program sets", "if (Object.hasOwn(own, claim)) {", "if (false) {"],
    ["a user's name that no verifier takes", "if (!name.ok) {", "if (false as boolean) {"],
  ]),
  ...faultsOf("src/auth/token.ts", ["tests/auth/work_queue_test.ts"], [
    ["a flood of verifications", "if (isSigned === undefined) {", "if (false) {"],
  ]),
  ...faultsOf("src/auth/claims.ts", ["tests/auth/token_test.ts"], [
    ["the expiry", "if (nowMs >= expiresAtMs) {", "if (false) {"],
    ["the expiry, by a millisecond", "if (nowMs >= expiresAtMs) {", "if (nowMs > expiresAtMs) {"],
    ["a token without an expiry", 'if (!Object.hasOwn(claims, "exp")) return "claim exp is missing";', ""],
    ["nbf and iat in the future", 'if (name !== "exp" && date * 1000 > latestMs)', "if (false)"],
    ["dates after the year 9998", "date >= 0 && date < END_OF_TIME_S", "date >= 0"],
    ["negative dates", "date >= 0 && date < END_OF_TIME_S", "date < END_OF_TIME_S"],
    [
      "the issuer",
      'return claims.iss === issuer ? undefined : "claim iss is not the issuer";',
      "return undefined;",
    ],
    [
      "no issuer",
      'if (!Object.hasOwn(claims, "iss")) return "claim iss is missing";',
      'if (!Object.hasOwn(claims, "iss")) return undefined;',
    ],
    [
      "somebody else's audience",
      'audience.some((name) => named.includes(name)) ? undefined : "claim aud names somebody else"',
      "undefined",
    ],
    [
      "an audience where none is configured",
      'if (audience.length === 0) return "claim aud is there, but no audience is configured";',
      "if (audience.length === 0) return undefined;",
    ],
    [
      "no audience where one is configured",
      'audience.length === 0 ? undefined : "claim aud is missing"',
      "undefined",
    ],
    ["the age of a token", "Math.min(exp * 1000, oldAtMs)", "exp * 1000"],
    [
      "an age without a beginning",
      'if (iat === undefined && maxTokenAgeMs !== Infinity) return invalid("claim iat is missing");',
      "",
    ],
    [
      "the clock tolerance",
      "Math.min(exp * 1000, oldAtMs) + clockToleranceMs",
      "Math.min(exp * 1000, oldAtMs)",
    ],
    ["sub where user_id is there", 'Object.hasOwn(claims, "user_id") ? "user_id" : "sub"', '"sub"'],
    ["a date with too many digits", "if (isRawNumber(date)) return", "if (false) return"],
    [
      "a jti that can't be compared",
      'typeof claims.jti === "string" && claims.jti !== "" ? undefined : "claim jti is not text"',
      "undefined",
    ],
  ]),
  ...faultsOf("src/auth/user_name.ts", ["tests/auth/user_name_test.ts"], [
    ["a user of any length", "text.length === 0 || text.length > MAX_USER_LENGTH", "text.length === 0"],
    [
      "a user without a name",
      "text.length === 0 || text.length > MAX_USER_LENGTH",
      "text.length > MAX_USER_LENGTH",
    ],
    ["a name that becomes too long", "if (name.length > MAX_USER_LENGTH) return TOO_LONG;", ""],
    ["a space too many", "if (!/^[^ ]+(?: [^ ]+)*$/.test(name)) return", "if (false) return"],
    ["invisible characters in a name", " && !NEVER.test(character) &&", " &&"],
    ["symbols in a name", "LETTER_OR_DIGIT.test(character) && !NEVER", "!NEVER"],
    ["forms for compatibility", 'character.normalize("NFKC") === character', "true"],
    ["decomposed letters", '.normalize("NFC");', ";"],
    ["joiners anywhere", "!JOINS_NO_NEXT.test(before)", "true"],
    ["two scripts", "if (!isOneWriting(name)) return", "if (false) return"],
    ["digits before Arabic", "digits <= 1 && LETTER_FIRST.test(name) &&", "digits <= 1 &&"],
  ]),
  ...faultsOf("src/auth/signature.ts", ["tests/auth/token_test.ts"], [
    ["faults of our own", 'error instanceof DOMException && error.name === "OperationError"', "true"],
  ]),
  ...faultsOf("src/endpoints/secure/rpc_conversation.ts", ["tests/endpoints/rpc_conversation_test.ts"], [
    ["messages of any size", "Buffer.byteLength(data) > maxMessageSize", "false"],
    ["a batch is one message", "this.#session.charge(message.requests.length - 1);", ""],
    ["replies of any size", "size <= left ?", "true ?"],
    ["what can't be answered", "if (left === 0 && id !== undefined) return", "if (false) return"],
    [
      "a batch after the end",
      "if (!this.#session.isOpen) return undefined;\n      const reply",
      "const reply",
    ],
  ]),
  ...faultsOf("src/endpoints/secure/methods/refresh.ts", ["tests/endpoints/methods/methods_test.ts"], [
    ["a refresh after the end", "if (!session.isOpen) return", "if (false) return"],
  ]),
  ...faultsOf("src/core/bounded_json.ts", ["tests/core/bounded_json_test.ts"], [
    ["a name twice", 'if (members.has(name)) return this.#refuse("a name occurs twice");', ""],
    ["any number of names", "this.#names.add(name).size > this.#limits.maxNames", "false"],
    ["any number of values", "++this.#values > this.#limits.maxValues", "++this.#values > Infinity"],
    [
      "a value too many",
      "++this.#values > this.#limits.maxValues",
      "this.#values++ > this.#limits.maxValues",
    ],
    [
      "objects of any depth",
      'if (depth > this.#limits.maxDepth) return this.#refuse("nested too deeply");\n    const members',
      "const members",
    ],
    [
      "lists of any depth",
      'if (depth > this.#limits.maxDepth) return this.#refuse("nested too deeply");\n    const items',
      "const items",
    ],
    ["what follows the value", " || this.#at < this.#text.length) return", ") return"],
    ["control characters in strings", " && code >= 0x20) code =", ") code ="],
    ["leading zeros", "(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?(?:[eE]", "[0-9]+(?:\\.[0-9]+)?(?:[eE]"],
    ["rounded numbers", "String(value) === source ? value : rawJSON(source)", "value"],
  ]),
  ...faultsOf("src/core/strict_json.ts", ["tests/core/strict_json_test.ts"], [
    ["infinite numbers", "Number.isFinite(Number(value.rawJSON)) ?", "true ?"],
    ["bytes that are no UTF-8", "fatal: true", "fatal: false"],
    ["a byte order mark", "ignoreBOM: true", "ignoreBOM: false"],
    [
      "a name that is a prototype",
      "Object.defineProperty(plain, name, {",
      'Object.defineProperty(plain, name === "__proto__" ? "x" : name, {',
    ],
  ]),
  ...faultsOf("src/auth/base64url.ts", ["tests/auth/token_test.ts"], [
    ["stray bits after two characters", "return /[AQgw]$/.test(text);", "return true;"],
    ["stray bits after three characters", "return /[AEIMQUYcgkosw048]$/.test(text);", "return true;"],
  ]),
  ...faultsOf("src/auth/work_queue.ts", ["tests/auth/work_queue_test.ts"], [
    ["more at once", "if (this.#running < this.#atOnce) {", "if (this.#running <= this.#atOnce) {"],
    ["a line without an end", "if (this.#line.length >= this.#maxWaiting) return undefined;", ""],
    [
      "a place that is lost",
      "if (next === undefined) this.#running--;",
      "if (next === undefined) this.#running;",
    ],
  ]),
  ...faultsOf("src/auth/key_set.ts", ["tests/auth/token_test.ts", "tests/auth/key_text_test.ts"], [
    ["a key of another algorithm", "meant.filter((key) => key.verifyingKeys.has(alg))", "meant"],
    ["a key of another name", "kid === undefined || key.kid === undefined", "true"],
    ["any number of tries", ".slice(0, MAX_TRIES)", ""],
    ["any number of keys", "members.length > MAX_KEYS", "false"],
  ]),
  ...faultsOf("src/auth/jwk.ts", [
    "tests/auth/key_text_test.ts",
    "tests/auth/key_file_test.ts",
    "tests/auth/weak_key_test.ts",
  ], [
    ["short secrets", "secret.length < hmac.sizeBytes", "false"],
    ["published keys as secrets", "if (await isPublishedKey(secret)) return", "if (false) return"],
    ["keys for encryption", 'use !== undefined && use !== "sig"', "false"],
    [
      "halves that do not belong together",
      "if (!await isPair(alg, signingKey, verifyingKeys.get(alg)!)) {",
      "if (false) {",
    ],
    ["an algorithm of another type", "alg !== first && !more.includes(alg)", "false"],
    ["points that are not on their curve", "if (!await isPublicKey(publicHalf)) return", "if (false) return"],
    ["weak keys", "if (fault !== undefined) return faulty(fault);", ""],
  ]),
  ...faultsOf("src/auth/weak_key.ts", ["tests/auth/weak_key_test.ts"], [
    ["small RSA keys", "bits < MIN_RSA_BITS", "false"],
    ["large RSA keys", "bits > MAX_RSA_BITS", "false"],
    ["an exponent that signs by itself", "e < USUAL_EXPONENT || ", ""],
    ["an even exponent", "e % 2n === 0n || ", ""],
    ["a modulus with a small factor", "n % 2n === 0n || smallPrimes.some", "smallPrimes.some"],
    ["ROCA", "if (smallPrimes.every(", "if (!smallPrimes.every("],
    ["points of small order", "OPEN_POINTS.has(y) ?", "false ?"],
    ["points in another form", 'if (y >= FIELD) return "its point is not in its only form";', ""],
    ["the base point", "return toInteger(x) === BASE_POINTS[curve]", "return x.length === 0"],
  ]),
  ...faultsOf("src/auth/http_get.ts", ["tests/auth/http_get_test.ts"], [
    ["an answer without an end", "if (this.#leftBytes < 0) throw", "if (false) throw"],
    ["many small pieces", "Math.max(size, MIN_READ_COST_BYTES)", "size"],
    ["a head without an end", "if (leftBytes < 0) throw", "if (false) throw"],
    ["a body over its limit", "if (size + part.length > limitBytes) throw tooLarge();", ""],
    ["a body that ends early", "if (mustBeWhole) throw", "if (false) throw"],
    ["two lengths", "headers.has(name) && FRAMING.includes(name)", "false"],
    ["a server that does not answer", "late.reject(", "void ("],
  ]),
  ...faultsOf("src/auth/remote_keys.ts", ["tests/auth/remote_keys_test.ts"], [
    ["an issuer that is asked again and again", "this.#now() < this.#nextFetchAtMs)", "false)"],
    ["any number who wait", "if (this.#waiting >= MAX_WAITING) return", "if (false) return"],
    ["keys that are lost in a failure", "this.#keys = answer.keys;", "this.#keys = [];"],
    ["published secrets", 'Object(key).kty === "oct" || ', ""],
  ]),
  ...faultsOf("src/auth/key_ring.ts", ["tests/auth/remote_keys_test.ts"], [
    [
      "a key that is not known yet is invalid",
      "return doubt === undefined || keys.isKnown(wanted)",
      "return true",
    ],
    ["old keys for ever", "    this.#remote?.refreshIfOld();\n    // An issuer", "    // An issuer"],
    ["usable without a key", "return this.#all().keys.length > 0;", "return true;"],
  ]),
  ...faultsOf("src/auth/key_file.ts", ["tests/auth/key_file_test.ts"], [
    [
      "a secret that others can read",
      "if (set.signer !== undefined && mode !== undefined) refuseOpenMode(path, mode);",
      "",
    ],
    ["the mode of a new key", "{ mode: 0o600 }", "{ mode: 0o644 }"],
    ["a key that is replaced", "await Deno.link(draft, path);", "await Deno.copyFile(draft, path);"],
    ["a file of any size", "readRegularFile(path, MAX_KEY_FILE_SIZE_BYTES)", "readRegularFile(path)"],
    ["a draft that stays", "await Deno.remove(draft);", ""],
  ]),
  ...faultsOf("src/auth/key_text.ts", ["tests/auth/key_text_test.ts"], [
    ["any number of keys", "if (blocks.length > MAX_KEYS) return", "if (false) return"],
    ["a key that lost its end", 'blocks.length !== text.split("-----BEGIN ").length - 1', "false"],
  ]),
  ...faultsOf("src/endpoints/sessions/authenticate.ts", [
    "tests/endpoints/secure_test.ts",
    "tests/endpoints/presentation_test.ts",
    "tests/endpoints/rpc_conversation_test.ts",
  ], [
    [
      "a token that expires while it is verified",
      "if (identity.expiresAtMs <= clock.now()) {",
      "if (false) {",
    ],
  ]),
  ...faultsOf("src/endpoints/secure/json_rpc.ts", ["tests/endpoints/rpc_conversation_test.ts"], [
    ["a batch of any length", " && value.length <= MAX_BATCH_LENGTH", ""],
    ["an empty batch", "value.length >= 1 && ", ""],
    ["fields that nobody knows", "value.keys().find((name) => !FIELD_NAMES.has(name))", "undefined"],
    ["a field's name of any length", "const path = wrong.slice(0, MAX_PATH_LENGTH);", "const path = wrong;"],
  ]),
  ...faultsOf("src/endpoints/secure/batch_turns.ts", ["tests/endpoints/batch_turns_test.ts"], [
    [
      "no rest after long batches",
      "setTimeout(() => this.#begin(), this.#busyMs);",
      "setImmediate(() => this.#begin());",
    ],
  ]),
];
