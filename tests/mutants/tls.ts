// Faults of TLS: what comes before a handshake, turns, client certificates, and what an unfinished one may cost.

import { faultsOf } from "../../scripts/mutants/mutant.ts";

const FOLDER = "src/firewall/tls";
const ACCEPTOR = "tests/firewall/tls_acceptor_test.ts";
const ATTACKS = "tests/firewall/tls_attacks_test.ts";
const CLIENTS = "tests/firewall/tls_clients_test.ts";

export const TLS = [
  ...faultsOf(`${FOLDER}/tls_hello.ts`, ["tests/firewall/tls_hello_test.ts"], [
    ["a hello of any length in small records", "if (end >= MAX_HELLO_SIZE) return 50;", ""],
    ["a hello of any announced length", "if (messageSize > MAX_HELLO_SIZE) return 50;", ""],
    ["a record of any length", "if (size > MAX_RECORD_SIZE) return 22;", ""],
    ["empty records", "if (size === 0) return 10;", ""],
    ["another record in the middle", "if (bytes[at] !== HANDSHAKE) return 10;", ""],
    ["another version of records", "if (bytes[at + 1] !== 3) return 70;", ""],
    [
      "another message than a hello",
      "if (end > at + HEADER_SIZE && at === 0 && bytes[HEADER_SIZE] !== CLIENT_HELLO) return 10;",
      "",
    ],
    [
      "what looks like an alert in data",
      "const isAlert = type === 21 && major === 3",
      "const isAlert = major === 3",
    ],
  ]),
  ...faultsOf(`${FOLDER}/tls_acceptor.ts`, [ACCEPTOR, ATTACKS], [
    ["who has gone keeps its turn", "onWaiting(() => late.resolve(LOST));", ""],
    [
      "a handshake of any length",
      "let timer = setTimeout(() => {\n      closeQuietly(socket);\n      late.resolve(LATE);\n    }, timeoutMs);",
      "let timer = 0;",
    ],
    [
      "who doesn't take the reason stays",
      "timer = setTimeout(() => closeQuietly(socket), this",
      "void (this",
    ],
    ["a place in the queue outlives its deadline", "void late.then(leave);", "void leave;"],
    ["HTTP is told nothing", "last: encode(SPEAK_TLS)", "isSilent: true"],
    ["no alert", "last: encodeAlert(hello)", "isSilent: true"],
    ["any certificate of a client", "if (tls.authorized && certificate !== undefined) {", "if (true) {"],
    [
      "the key is not the certificate's",
      "const reason = checkIdentity(identity, Date.now());",
      "const reason = undefined;",
    ],
  ]),
  ...faultsOf(`${FOLDER}/tls_acceptor.ts`, [CLIENTS], [
    [
      "any session is resumed",
      "if (certificate !== undefined && clients.has(certificate, Date.now())) return undefined;",
      "return undefined;",
    ],
    ["the terms of before a reload", "clients === this.#terms.clients ? judge", "true ? judge"],
    ["sessions of another authority", "isSame ? before.clients : new", "before?.clients ?? new"],
  ]),
  ...faultsOf(`${FOLDER}/tls_clients.ts`, [CLIENTS], [
    ["a session outlives its certificate", " || nowMs > untilMs", ""],
    ["a session outlives its issuer", "Math.min(untilMs, Date.parse(issuer.validTo))", "untilMs"],
    ["any number is remembered", "if (this.#untilMs.size <= this.#most) return;", "return;"],
    ["who comes often is forgotten", "this.#untilMs.delete(fingerprint);\n", ""],
  ]),
  ...faultsOf(`${FOLDER}/tls_identity.ts`, [ACCEPTOR], [
    ["a key of another certificate", "if (!certificate.checkPrivateKey(privateKey)) {", "if (false) {"],
    ["a certificate that has ended", "nowMs > Date.parse(validTo)", "false"],
  ]),
  ...faultsOf(`${FOLDER}/tls_turns.ts`, ["tests/firewall/tls_turns_test.ts"], [
    ["no rest after a handshake", "(endMs - startMs) * REST_FACTOR", "0"],
    ["everybody at once", "this.#waiting.size === 0 && performance.now() >= this.#restUntilMs", "true"],
    ["who has left is worked on", "return () => this.#waiting.delete(work);", "return () => {};"],
  ]),
  ...faultsOf(`${FOLDER}/tls_stream.ts`, [ACCEPTOR, ATTACKS], [
    ["a flood is read on", "if (!this.#isWanted || this.#isReading", "if (this.#isReading"],
  ]),
  ...faultsOf(`${FOLDER}/tls_stream.ts`, [CLIENTS], [
    ["who is not to be told is told", "if (this.#isMuted) return false;", ""],
  ]),
  ...faultsOf(`${FOLDER}/tls_socket.ts`, [ACCEPTOR], [
    ["reads go on after one is served", "    this.#stream.want(false);\n    // Bytes", "    // Bytes"],
    ["what was decrypted outlives the end", "    this.#chunks.length = 0;\n", ""],
    [
      "a write that never ends",
      "    for (const pending of [this.#read, this.#write, this.#closeWrite]) pending?.reject(error);\n",
      "",
    ],
  ]),
];
