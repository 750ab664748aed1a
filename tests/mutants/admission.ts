// Faults of the rules that decide who may connect.

import { faultsOf } from "../../scripts/mutants/mutant.ts";

const FOLDER = "src/firewall/admission";
const TESTS = "tests/firewall/admission";

export const ADMISSION = [
  ...faultsOf("src/firewall/admission/network_bans.ts", ["tests/firewall/admission/network_bans_test.ts"], [
    ["bans without end", "if (untilMs <= nowMs) this.#untilMs", "if (false) this.#untilMs"],
    ["any number of networks", "ends.length - MAX_NETWORK_BANS", "0"],
    ["the machine itself with its network", "(this.#banLoopback || !isLoopback(address))", "true"],
  ]),
  ...faultsOf("src/firewall/admission/network_set.ts", ["tests/firewall/admission/network_bans_test.ts"], [
    ["a ban of everybody", "if (prefix < WIDEST_BAN[isV4(address) ? 4 : 6]) return undefined;", ""],
    ["a ban of more than was asked for", "return prefix > 16 * CLIENT_GROUPS ? undefined :", "return"],
    ["a network by an address in it", "part >> free << free", "part"],
  ]),
  ...faultsOf("src/firewall/admission.ts", ["tests/firewall/admission/network_bans_test.ts"], [
    ["a banned network may connect", "this.#banOfNetwork(address) ??", ""],
    [
      "a banned network stays connected",
      "return this.#expel(({ address }) => this.#banOfNetwork(address));",
      "return;",
    ],
    ["any word of another node is a network", "if (isNetworkKey(key) && banKey(key) !== key) return;", ""],
  ]),
  ...faultsOf(`${FOLDER}/client_table.ts`, [`${TESTS}/client_table_test.ts`], [
    ["bans", "client.bannedUntilMs > nowMs) return BANNED", "false) return BANNED"],
    [
      "a connection too many",
      "client.connections >= this.#limits.maxConnectionsPerIp",
      "client.connections > this.#limits.maxConnectionsPerIp",
    ],
    ["connections are not counted out", "    client.connections--;\n", ""],
    ["connections are counted out twice", " || client.connections === 0", ""],
    ["the handshake rate", "return isFree ? undefined : TOO_MANY_HANDSHAKES;", "return undefined;"],
    [
      "a violation too many",
      "this.#violations(client, nowMs) >= banAfter",
      "this.#violations(client, nowMs) > banAfter",
    ],
    ["violations do not count", "    client.violations++;\n", ""],
    ["violations fade never", "client.earlierViolations * (1 - faded)", "client.earlierViolations"],
    ["violations fade at once", "age >= banWindow * 2", "age >= banWindow"],
    ["loopback is banned", "this.#limits.banLoopback || !isLoopback(key)", "true"],
    ["loopback is never banned", "this.#limits.banLoopback || !isLoopback(key)", "!isLoopback(key)"],
    ["a ban has no end", "nowMs + forMs", "Infinity"],
    ["unban", "client.bannedUntilMs = 0;\n    this.#shelve(client);\n    return true;", "return true;"],
    ["clients are never forgotten", "this.#clients.delete(client.key);", ""],
    ["the memory of clients has no bound", "<= this.#maxIdle) return;", "<= Infinity) return;"],
    [
      "a flood makes bans forgotten first",
      "this.#clean.oldest ?? this.#marked.oldest ?? this.#banned.oldest",
      "this.#banned.oldest ?? this.#marked.oldest ?? this.#clean.oldest",
    ],
    ["who is limited is forgotten", "isOver && client.handshakes.isFull(nowMs)", "isOver"],
  ]),
  ...faultsOf("src/core/token_bucket.ts", [`tests/core/token_bucket_test.ts`], [
    ["more than there is", "if (this.#tokens < count) return false;", ""],
    ["what is taken", "this.#tokens -= count;\n    return true;", "return true;"],
    ["more than the burst", "tokens < this.#burst ? tokens : this.#burst", "tokens"],
    [
      "a clock that goes back",
      "if (nowMs <= this.#updatedMs) return;",
      "if (nowMs === this.#updatedMs) return;",
    ],
    ["debts", "this.#tokens >= 0 ? 0 : -this.#tokens / this.#perMs", "0"],
  ]),
  ...faultsOf(`${FOLDER}/ip_rules.ts`, [`${TESTS}/ip_rules_test.ts`], [
    ["deny rules", "if (this.#deny.has(address)) return DENIED;", ""],
    ["allow rules", "this.#allow.size === 0 || this.#allow.has(address) ? undefined : DENIED", "undefined"],
    ["the rules of the flags", "const deny = [...denyIp];", "const deny: string[] = [];"],
    ["mistakes in the file", "if (mistakes.length > 0) return", "if (false) return"],
    ["allow and deny in the file", '(verb === "allow" ? allow : deny)', "allow"],
    ["comments in the file", 'line.replace(/#.*/, "").trim()', "line.trim()"],
    ["networks in the file that are none", "} else if (!isNetwork(network)) {", "} else if (false) {"],
  ]),
  ...faultsOf(`${FOLDER}/network_set.ts`, [`${TESTS}/network_set_test.ts`], [
    ["one list for both families", "isV4(address) ? v4Ranges : v6Ranges", "v4Ranges"],
    [
      "mapped addresses are others",
      "address !== undefined && isMapped(address) ? unmap(address) : address",
      "address",
    ],
    ["the rest of 127.0.0.0/8", 'canonical.startsWith("127.")', 'canonical === "127.0.0.1"'],
    ["each address of IPv6 is a client", "const CLIENT_GROUPS = 4;", "const CLIENT_GROUPS = 8;"],
    ["the last address of a network", "(1n << free) - 1n", "(1n << free) - 2n"],
    ["the first address of a network", "if (number < first) high", "if (number <= first) high"],
    ["mapped networks", "isMapped(address) && prefix >= 96", "false"],
  ]),
  ...faultsOf(`${FOLDER}/forwarded_for.ts`, [`${TESTS}/forwarded_for_test.ts`], [
    ["X-Forwarded-For of anybody", " && trusted.has(address); i++", "; i++"],
    ["a chain without an end", "i < MAX_FORWARDED_ENTRIES && ", ""],
    [
      "an entry that is no address",
      "if (entry === undefined) break;",
      "if (entry === undefined) { end = comma; continue; }",
    ],
  ]),
  ...faultsOf(`${FOLDER}/proxy_protocol.ts`, [`${TESTS}/proxy_protocol_test.ts`], [
    [
      "a version 1 that is too long",
      "return end - start < MAX_V1_SIZE ? INCOMPLETE : LONG_LINE;",
      "return INCOMPLETE;",
    ],
    ["a version 2 that is too long", "if (size > MAX_V2_SIZE) return LONG_HEADER;", ""],
    ["commands", "if (!isLocal && command !== 0x21) return BAD_COMMAND;", ""],
    ["families", "if (addressSize === undefined) return BAD_FAMILY;", ""],
    ["a length that is too short", "if (length < addressSize) return BAD_LENGTH;", ""],
    ["the family of an address", "ipVersion(source) !== version || ", ""],
    ["ports above 65535", "if (port > 65535 || ", "if ("],
    ["control characters", "if (byte < 0x20 || byte > 0x7e) return BAD_LINE;", ""],
    [
      "a LOCAL connection has an address",
      "const source = isLocal ? undefined : readSource",
      "const source = readSource",
    ],
    ["a signature that begins right", "if (bytes[start + i] !== signature[i]) return NOT_PROXY;", ""],
  ]),
  ...faultsOf(`${FOLDER}/request_rules.ts`, [`${TESTS}/request_rules_test.ts`], [
    [
      "Host on loopback",
      "return isLoopbackHost(host) ?",
      "return true ?",
    ],
    ["Host on other listeners", " : { ...WRONG_HOST, detail: detailOf(text) };", " : undefined;"],
    ["the path", "return isRight ?", "return true ?"],
    ["Origin", "return { ...WRONG_ORIGIN, detail: detailOf(origin) };", "return undefined;"],
    ["the port of an origin", " && (page.port === undefined || page.port === own.port)", ""],
    [
      "the origin null",
      "if (page !== undefined) {",
      "if (page === undefined) return undefined; {",
    ],
    ["names that end in localhost", 'host.endsWith(".localhost")', 'host.endsWith("localhost")'],
    [
      "loopback pages on any listener",
      "isLoopbackListener && isLoopbackHost(page.host)",
      "isLoopbackHost(page.host)",
    ],
    ["Origin is never looked at", "settings.insecureAllowAnyOrigin ? rules", "true ? rules"],
  ]),
  ...faultsOf("src/firewall/handshake/opening.ts", ["tests/attacks/brake_test.ts"], [
    ["the rate before the work", "return admission.handshake(address);", "return undefined;"],
    ["TLS that fails", "isViolation: result.isLost !== true", "isViolation: false"],
    ["TLS that is only left", "isViolation: result.isLost !== true", "isViolation: true"],
    [
      "X-Forwarded-For after a preamble that names nobody",
      "if (peer.isIdentified || opening",
      "if ((peer.isIdentified && peer.address !== proxy) || opening",
    ],
  ]),
  ...faultsOf("src/firewall/handshake/refusing.ts", ["tests/attacks/brake_test.ts"], [
    ["violations before the 101", "isIdentified && refusal.isViolation", "false"],
    ["violations of a proxy", "isIdentified && refusal.isViolation", "refusal.isViolation"],
  ]),
  ...faultsOf("src/firewall/handshake/refusing.ts", ["tests/firewall/handshake/refusing_test.ts"], [
    ["who is refused is left unread", "    if (mayLinger) await linger(socket);\n", ""],
  ]),
  ...faultsOf("src/firewall/handshake/peer.ts", ["tests/firewall/listener_test.ts"], [
    ["all who lose their places are told why", "this.canAnswer &&= mayExplain();", ""],
    [
      "what an endpoint does not answer outlives the drain",
      "if (this.inner !== undefined) closeQuietly(this.inner);",
      "",
    ],
  ]),
  ...faultsOf("src/firewall/admission/shelf.ts", ["tests/firewall/admission/newcomers_test.ts"], [
    [
      "the newest goes first",
      "if (this.#newest === undefined) this.oldest = item;\n    else this",
      "this.oldest = item;\n    if (this.#newest !== undefined) this",
    ],
  ]),
  ...faultsOf("src/firewall/admission/newcomers.ts", ["tests/firewall/admission/newcomers_test.ts"], [
    ["anybody goes first", "this.#most = Math.max(this.#most, client.places.size);", "this.#most = 1;"],
    ["who has left is remembered", "this.#places.delete(newcomer);", ""],
    ["a client of a proxy stays the proxy's", "before === key) return;", "true) return;"],
  ]),
  ...faultsOf("src/firewall/admission.ts", ["tests/attacks/descriptors_test.ts"], [
    [
      "half heads keep their places",
      "const worst = this.#newcomers.takeWorst();",
      "const worst = undefined as Visitor | undefined;",
    ],
    ["the limit of descriptors", "Math.min(maxConnections, this.#places)", "maxConnections"],
    ["one place too many", "if (this.#visitors.size >= most", "if (this.#visitors.size > most"],
    ["one client may have all places", "if (settled >= most) return", "if (false) return"],
    [
      "what is found out about the limit",
      "this.#places = Math.min(this.#places, connectionsWithin(left));",
      "",
    ],
  ]),
  ...faultsOf("src/firewall/handshake/opening.ts", ["tests/firewall/listener_test.ts"], [
    ["a flood is told why", "peer.canAnswer &&= admission.mayExplain();", ""],
  ]),
  ...faultsOf("src/firewall/handshake/joining.ts", ["tests/firewall/listener_test.ts"], [
    [
      "an endpoint that never answers",
      "limits.authTimeout, () => closeQuietly(inner));",
      "limits.authTimeout, () => {});",
    ],
  ]),
  ...faultsOf("src/firewall/tls/tls_socket.ts", ["tests/firewall/tls_socket_test.ts"], [
    ["what was read waits for the garbage collector", "(chunk.buffer as ArrayBuffer).transfer(0);", ""],
    ["the buffer of others is let go", "isOwn ? chunk : chunk.slice()", "chunk"],
  ]),
  ...faultsOf("src/firewall/listener.ts", ["tests/firewall/listener_test.ts"], [
    ["all that wait are accepted at once", "if (++accepted % MOST_ACCEPTED_AT_ONCE === 0)", "if (false)"],
    ["a handshake without an end", "peer.sweep(nowMs, standstill.lateMs)", "undefined"],
    ["a connection that fails is left", "this.#connections.delete(connection)", "undefined"],
    ["a fault keeps a place", "if (hasEntered) admission.leave(peer)", "if (false) admission.leave(peer)"],
    ["a fault is called the peer's", "if (!isConnectionLost(error)) await", "if (false) await"],
    ["1011 after the 101", "if (isWelcomed) await sendLast", "if (false) await sendLast"],
    [
      "500 before it",
      "else if (canAnswer && !peer.isRefused) await answer",
      "else if (false) await answer",
    ],
  ]),
  ...faultsOf("src/firewall/byte_socket.ts", ["tests/firewall/byte_socket_test.ts"], [
    ["a fault is a lost connection", "if (!(error instanceof Error)) return false;", "return true;"],
    [
      "a lost connection is a fault",
      "if (LOST_CLASSES.some((lost) => error instanceof lost)) return true;",
      "",
    ],
    ["a socket can be closed once only", "socket[Symbol.dispose] === undefined", "true"],
  ]),
];
