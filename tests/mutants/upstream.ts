// Faults of the defences around an upstream server.

import { faultsOf } from "../../scripts/mutants/mutant.ts";

const FOLDER = "src/firewall/upstream";
const TESTS = "tests/upstream";

export const UPSTREAM = [
  ...faultsOf(`${FOLDER}/request.ts`, [`${TESTS}/relay_test.ts`], [
    [
      "who the client is",
      "`X-Forwarded-For: ${address}`",
      '`X-Forwarded-For: ${headers.get("x-forwarded-for")}`',
    ],
    [
      "what the token says",
      "for (const [name, value] of ticket.headers)",
      "for (const [name, value] of [] as [string, string][])",
    ],
    ["the query without the token", "${path}${pass.query}", "${path}${request.head.query}"],
  ]),
  ...faultsOf(`${FOLDER}/answer.ts`, [`${TESTS}/hostile_test.ts`], [
    ["the Accept", 'headers.get("sec-websocket-accept") !== accept', "false"],
    ["extensions", 'listElements(headers.get("sec-websocket-extensions")).length > 0', "false"],
    [
      "subprotocols that were not offered",
      "subprotocol !== undefined && !offered.includes(subprotocol)",
      "false",
    ],
    ["the Upgrade", '!hasToken(headers.get("upgrade"), "websocket") || ', ""],
    ["other statuses", "status < 400 || status > 599", "false"],
    ["how long a body may be", "Math.min(Number(length ?? Infinity), MAX_BODY_SIZE)", "Number(length)"],
    ["a compressed body as text", 'headers.has("content-encoding") || ', ""],
    ["codings other than chunks", ' || coding !== undefined && coding.toLowerCase() !== "chunked"', ""],
    ["half a body is no answer", "    expectLoss(error);\n    return false;", "    throw error;"],
  ]),
  ...faultsOf(`${FOLDER}/chunked_body.ts`, [`${TESTS}/hostile_test.ts`], [
    ["all digits of a size", "this.#left = this.#left * 16 + digit;", "this.#left = digit;"],
    ["nonsense between chunks", "else this.isOver = true;", ""],
    [
      "the line end after a chunk",
      'if (this.#left === 0) this.#begin("end");',
      'if (this.#left === 0) this.#begin("size");',
    ],
    ["extensions of chunks", 'this.#state = "extension";', "this.isOver = true;"],
  ]),
  ...faultsOf("src/cli/commands/doctor_upstream.ts", [`${TESTS}/doctor_test.ts`], [
    ["the path that clients may ask for", '(upstreamPath[0] ?? "/")', '"/"'],
    ["the end is told", "    await writeAll(socket, encodeClose(GOING_AWAY, newMaskKey()));\n", ""],
    [
      "a server that says nothing",
      "const timer = setTimeout(() => closeQuietly(socket), upstreamTimeout);",
      "const timer = 0;",
    ],
  ]),
  ...faultsOf(`${FOLDER}/dial.ts`, [`${TESTS}/pool_test.ts`], [
    ["what is lacking here is a server's failure", "if (isOwnLack(error)) return", "if (false) return"],
    [
      "descriptors that are lacking are a server's failure",
      "if (isOutOfDescriptors(error)) return",
      "if (false) return",
    ],
    ["a fault of ours is a server's", "if (isOwnFault(error)) throw error;", ""],
  ]),
  ...faultsOf(`${FOLDER}/route.ts`, [`${TESTS}/pool_test.ts`], [
    ["no second dial when there is room", "return await attempt();", "return first;"],
  ]),
  ...faultsOf(`${FOLDER}/pool.ts`, [`${TESTS}/pool_test.ts`], [
    ["the most connections", "server.open >= this.#maxConnections", "false"],
    ["the fewest connections", "server.open < best!.open", "false"],
    ["who fails is left out", "server.failures < MOST_FAILURES || ", "true || "],
    ["one trial at a time", " && !server.isTried", ""],
    ["a lone server is always tried", " || this.servers.length === 1", ""],
    ["the pause doubles", "server.pauseMs * 2", "server.pauseMs"],
    ["a refusal is an answer", 'result === "ok" || result === "refused"', 'result === "ok"'],
    ["slow is not dead", "return server.isListening ? 1 : Infinity;", "return Infinity;"],
  ]),
  ...faultsOf(`${FOLDER}/route.ts`, [
    `${TESTS}/hostile_test.ts`,
    `${TESTS}/sessions_test.ts`,
    `${TESTS}/pool_test.ts`,
    `${TESTS}/crossing_test.ts`,
  ], [
    [
      "places are given back",
      "    if (this.#server !== undefined) this.#upstream.pool.release(this.#server);\n",
      "",
    ],
    ["the session is given back", "    this.#ticket?.closed(code);\n", ""],
    ["only a 503 is asked of the next", "mayRetry: answer.status === 503", "mayRetry: true"],
  ]),
  ...faultsOf(`${FOLDER}/route.ts`, [
    `${TESTS}/crossing_test.ts`,
    `${TESTS}/sessions_test.ts`,
    `${TESTS}/pool_test.ts`,
  ], [
    [
      "who is gone while a server is asked keeps it",
      "    else if (this.#socket !== undefined) this.#dismiss(this.#socket);\n",
      "",
    ],
    [
      "a server is told of the end",
      "if (!this.#isJoined) return closeQuietly(socket);",
      "return closeQuietly(socket);",
    ],
    [
      "a server may answer when it likes",
      "      isLate = true;\n      closeQuietly(socket);",
      "      isLate = true;",
    ],
    ["the session of who has left", "          ticket.closed(1006);\n", ""],
    [
      "a drain waits for a server",
      "    this.#ending ??= GOING_AWAY;\n    this.#abortion.abort();",
      "    this.#ending ??= GOING_AWAY;",
    ],
    ["one that does not accept takes all the time", "hasOthers ? leftMs / 2 : leftMs", "leftMs"],
  ]),
  ...faultsOf(`${FOLDER}/dial.ts`, [`${TESTS}/foreign_test.ts`, `${TESTS}/pool_test.ts`], [
    [
      "the name in the certificate",
      "hostname: serverName ?? hostname, ...options",
      'hostname: "localhost", ...options',
    ],
    ["the authority", "const options = { caCerts,", "const options = { caCerts: [] as string[],"],
    ["a dial of any length", "const timer = setTimeout(giveUp, timeoutMs);", "const timer = 0;"],
  ]),
  ...faultsOf(`${FOLDER}/first_message.ts`, [`${TESTS}/relay_test.ts`, `${TESTS}/sessions_test.ts`], [
    [
      "any time for the token",
      'this.#timer = setTimeout(() => this.#decide("late", false), this.#options.timeoutMs);',
      "",
    ],
    ["what follows is taken before the token is judged", '      return "wait";', "      continue;"],
    ["a binary message is a token", ': "binary", typeof message === "string");', ': "binary", true);'],
  ]),
  ...faultsOf("src/firewall/ways/endpoint_frames.ts", [`${TESTS}/hostile_test.ts`], [
    ["UTF-8", "if (this.#utf8.accepts(bytes, start, end, 0)) return true;", "return true;"],
    ["the end of a text", "this.check.message.opcode === OPCODE.text && !this.#utf8!.isComplete", "false"],
    [
      "the size",
      "{ maxMessageSize, maxFragments: MAX_FRAGMENTS }",
      "{ maxMessageSize: Infinity, maxFragments: MAX_FRAGMENTS }",
    ],
    ["the number of fragments", "maxFragments: MAX_FRAGMENTS", "maxFragments: Infinity"],
    ["the rules", "      SERVER_FIRST_BYTES_RULES,\n", "      [],\n"],
  ]),
  ...faultsOf("src/firewall/ways/relayed.ts", [`${TESTS}/hostile_test.ts`, `${TESTS}/sessions_test.ts`], [
    ["the server is told its code", "if (!this.#isTold) this.#sendClose(violation);", ""],
    ["what a server is told of a client's session", "{ code: 1008, reason: close.reason }", "close!"],
    [
      "a silent server is lost",
      'if (nowMs - this.#askedMs >= pingTimeout) return this.#lose("it does not answer a Ping");',
      "",
    ],
    ["no Close inside a frame", "if (isInFrame) host.cut();", ""],
  ]),
  ...faultsOf("src/firewall/ways/peer_frames.ts", [`${TESTS}/relay_test.ts`], [
    ["our own Pongs", "this.pings > 0 && ", "false && "],
  ]),
  ...faultsOf("src/firewall/admission/request_rules.ts", [`${TESTS}/relay_test.ts`], [
    ["dots in paths", " && !leadsElsewhere(path)", ""],
  ]),
  ...faultsOf("src/endpoints/gateway/gateway.ts", [`${TESTS}/relay_test.ts`, `${TESTS}/sessions_test.ts`], [
    [
      "the limit of sessions",
      "if (refusal !== undefined) return refusal;\n    const session",
      "const session",
    ],
    ["how much a server is told", "> MAX_CLAIMS_SIZE", "> Infinity"],
    ["the token in the cookie", "!pair.startsWith(`${tokenCookie}=`)", "true"],
  ]),
  ...faultsOf("src/endpoints/sessions/session_registry.ts", [`${TESTS}/sessions_test.ts`], [
    [
      "a token is spent on a dial that failed",
      "    this.#store(identity, (usedTokens) => usedTokens.unmark(identity));\n",
      "",
    ],
    ["nobody makes room", "    if (!this.#trials.delete(id)) return;\n", "    return;\n"],
    [
      "dials that are under way without end",
      "({ id }) => this.#trials.has(id)).length >= maxSessionsPerUser",
      "() => false).length > 0",
    ],
    ["an older session is sent away for a dial", "if (trial === undefined) {", "if (true) {"],
  ]),
  ...faultsOf("src/endpoints/sessions/state_file.ts", [`${TESTS}/sessions_test.ts`], [
    [
      "a token that was given back is in the file",
      '"DELETE FROM used_tokens WHERE jti = ?", JSON.stringify(jti)',
      '"DELETE FROM used_tokens WHERE jti = ?", jti',
    ],
  ]),
  ...faultsOf("src/firewall/upstream/route.ts", [`${TESTS}/sessions_test.ts`, `${TESTS}/crossing_test.ts`], [
    ["a first message is spent", "          this.#giveBack(1006);\n", ""],
    [
      "a token is given back too late",
      "      // Before the client is answered, because it may try again at once.\n      this.#giveBack(1006);\n",
      "",
    ],
  ]),
  ...faultsOf("src/core/settings/combinations.ts", [`${TESTS}/combinations_test.ts`], [
    ["without the secure endpoint", "upstream.length > 0 && !secure", "false"],
    ["a word without an upstream", 'upstreamAuth === "none" && upstream.length === 0', "false"],
    [
      "a timeout that is longer than all",
      "upstream.length > 0 && upstreamTimeout >= handshakeTimeout",
      "false",
    ],
    ["claims of nobody", "(upstreamClaim.length > 0 || upstreamClaimsHeader !== undefined)", "false"],
    [
      "one header for two claims",
      "new Set(headers.map((header) => header.toLowerCase())).size < headers.length",
      "false",
    ],
    ["half of a certificate", "(upstreamCert === undefined) !== (upstreamKey === undefined)", "false"],
    [
      "a certificate under another name",
      "upstreamServerName !== undefined && upstreamCert !== undefined",
      "false",
    ],
    [
      "a cookie for every web site",
      "tokenCookie !== undefined && (insecureAllowAnyOrigin || insecureAllowNullOrigin)",
      "false",
    ],
  ]),
  ...faultsOf("src/endpoints/gateway/header_value.ts", [`${TESTS}/relay_test.ts`], [
    ["a value is one line", "code > 0x20 && code < 0x7f", "code < 0x7f"],
    ["no two are the same", " && code !== 0x25", ""],
  ]),
  ...faultsOf("src/endpoints/sessions/presentation.ts", [`${TESTS}/relay_test.ts`], [
    ["a cookie needs an Origin", 'inCookie.length > 0 && request.headers.get("origin") === null', "false"],
  ]),
];
