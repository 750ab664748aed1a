// Faults of the admin listener, and of the sessions and revocations that it changes.

import { faultsOf } from "../../scripts/mutants/mutant.ts";

export const ADMINISTRATION = [
  ...faultsOf("src/admin/access.ts", ["tests/admin/request_guard_test.ts"], [
    ["no token", "if (token === undefined) {", "if (false) {"],
    [
      "a token that is not valid",
      "if (!verification.ok || isRevoked(verification.identity)) {",
      "if (verification.ok && isRevoked(verification.identity)) {",
    ],
    [
      "a token that is revoked",
      "if (!verification.ok || isRevoked(verification.identity)) {",
      "if (!verification.ok) {",
    ],
    ["the scope", "if (!hasScope(verification.identity, scope)) {", "if (false) {"],
    [
      "a part of a word as scope",
      "return words.includes(scope);",
      "return words.some((word) => String(word).includes(scope));",
    ],
  ]),
  ...faultsOf("src/admin/request_guard.ts", ["tests/admin/request_guard_test.ts"], [
    ["Host", 'if (name !== "" && isOwn && Number(port) <= MAX_PORT) return undefined;', "return undefined;"],
    ["a Host that looks like loopback", " || isLoopback(name);", ' || name.startsWith("127.");'],
    ["HTTP/1.1 without a Host", "if (host === undefined && isOld)", "if (host === undefined)"],
    ["Origin", "if (origin === undefined || origin ===", "if (true || origin ==="],
    ["the type of a body", 'if (type.trim() !== "application/json") {', "if (false) {"],
    ["a body of any size", "if (Number(size) > MAX_BODY_SIZE) return TOO_LARGE;", ""],
    ["a body in chunks", "if (isEncoded) return { status: 411,", "if (false) return { status: 411,"],
  ]),
  ...faultsOf("src/admin/metrics_token.ts", ["tests/admin/metrics_server_test.ts"], [
    ["any token", "timingSafeEqual(digest(token), this.#digest)", "true"],
    [
      "a token that ends otherwise",
      "timingSafeEqual(digest(token), this.#digest)",
      "timingSafeEqual(digest(token.slice(0, 16)), this.#digest)",
    ],
    ["a token that can be guessed", "{16,}=*$/", "{1,}=*$/"],
    [
      "the old token after a change",
      "  reload(): void {\n    this.#digest = this.#read();",
      "  reload(): void {\n    this.#read();",
    ],
  ]),
  ...faultsOf("src/admin/metrics_server.ts", ["tests/admin/metrics_server_test.ts"], [
    ["metrics without the token", "isMetricsPublic: token === undefined,", "isMetricsPublic: true,"],
    ["reasons without the token", "isReasonPublic: token === undefined,", "isReasonPublic: true,"],
    ["metrics are made for each question", "maxAgeMs: MAX_AGE_MS,", "maxAgeMs: 0,"],
  ]),
  ...faultsOf("src/admin/request_handler.ts", ["tests/admin/metrics_server_test.ts"], [
    ["any method reads the metrics", "found.find(({ method }) => method === wanted)", "found[0]"],
    ["the metrics are for everybody", "route.isPublic ? undefined : await", "true ? undefined : await"],
  ]),
  ...faultsOf("src/firewall/handshake/health.ts", ["tests/firewall/health_test.ts"], [
    ["any method", '(method === "GET" || method === "HEAD")', "true"],
    ["a handshake at the health path", '!hasToken(headers.get("upgrade"), "websocket")', "true"],
  ]),
  ...faultsOf("src/firewall/handshake/opening.ts", ["tests/firewall/health_test.ts"], [
    ["health checks at any rate", "return admission.handshake(address);", "return undefined;"],
  ]),
  ...faultsOf("src/admin/server.ts", ["tests/admin/request_guard_test.ts", "tests/admin/events_test.ts"], [
    ["Host is not looked at", "checkHost(request) ?? (isHealth", "undefined ?? (isHealth"],
    ["Origin is not looked at", "isHealth ? undefined : checkOrigin(request)", "undefined"],
  ]),
  ...faultsOf("src/admin/request_handler.ts", [
    "tests/admin/request_guard_test.ts",
    "tests/admin/server_test.ts",
    "tests/admin/events_test.ts",
  ], [
    [
      "every route is public",
      "route.isPublic ? undefined : await",
      "true ? undefined : await",
    ],
    ["bodies where none belong", "if (wrongBody !== undefined) return wrongBody;", ""],
    [
      "headers against other sites",
      "if (!response.headers.has(name)) response.headers.set(name, value);",
      "",
    ],
    [
      "changes are not recorded",
      'if (route.method !== "GET" && result instanceof Response) this.#recordChange',
      "if (false) this.#recordChange",
    ],
  ]),
  ...faultsOf("src/admin/http_listener.ts", [
    "tests/admin/http_listener_test.ts",
    "tests/admin/accept_test.ts",
  ], [
    ["any number of connections", "this.#exchanges.size >= MAX_ADMINISTRATORS && ", "false && "],
    ["an administrator is cut for a stranger", "exchange.isTrusted || ", ""],
    ["one address pushes out all others", "held.get(exchange.address) ?? []", 'held.get("") ?? []'],
    [
      "one address pushes out all others, whoever is the oldest",
      "> most.length) most = ofAddress;",
      "> 0 && most.length === 0) most = ofAddress;",
    ],
    ["a fault ends the listener", "      this.#options.onFault(error);\n", "      throw error;\n"],
  ]),
  ...faultsOf("src/admin/connection_routes.ts", ["tests/admin/connection_routes_test.ts"], [
    [
      "an order that is a method of objects",
      "Object.hasOwn(ORDERS, order) ? ORDERS[order] : undefined",
      "ORDERS[order]",
    ],
    ["further pages of an order that changes", 'request.query.has("after")', "false"],
    ["the user of another connection", "users.get(facts.id)", "[...users.values()][0]"],
  ]),
  ...faultsOf("src/admin/history.ts", ["tests/admin/connection_routes_test.ts"], [
    [
      "a point before the first",
      "Math.max(1, this.#count - LENGTH + 1)",
      "Math.max(0, this.#count - LENGTH + 1)",
    ],
    ["a rate between the newest and the oldest", "this.#count - LENGTH + 1)", "this.#count - LENGTH)"],
  ]),
  ...faultsOf("src/admin/http_exchange.ts", ["tests/admin/http_listener_test.ts"], [
    ["a head of any size", "if (end === MAX_HEAD_SIZE) return LONG_HEAD;", ""],
    ["a head of any length in time", "this.#limit(this.#timeouts.head, LATE_HEAD);", ""],
    ["a body of any length in time", "this.#limit(this.#timeouts.body, LATE_BODY);", ""],
    ["an answer that never comes", "this.#limit(this.#timeouts.answer, LATE_ANSWER);\n      const", "const"],
    ["who does not read", "    this.#limit(this.#timeouts.write);\n", ""],
    ["who does not end", "      this.#limit(this.#timeouts.linger);\n", ""],
    ["HTTP/1.0 for any path", "oldPaths: HEALTH_PATHS", 'oldPaths: new Set(["/", "/metrics"])'],
  ]),
  ...faultsOf("src/admin/session_routes.ts", ["tests/admin/session_routes_test.ts"], [
    [
      "revocations of any size",
      "sizeOf(sessions.revocations()) + value.length > MAX_REVOCATIONS_SIZE",
      "false",
    ],
    ["a revocation of any length", "v.maxValue(MAX_REVOCATION_TTL_MS / 1000)", "v.maxValue(Infinity)"],
    ["a name in another form", 'kind === "user" ? nameOf(fields.value.value) : fields', "fields"],
    [
      "what can't be stored is said to be",
      'status: 500,\n      detail: "the state file',
      'status: 201,\n      detail: "the state file',
    ],
  ]),
  ...faultsOf("src/admin/ban_routes.ts", ["tests/admin/ban_routes_test.ts"], [
    ["bans of any length", "v.maxValue(MAX_BAN_S)", "v.maxValue(Infinity)"],
    ["loopback", "if (!isBanned) {", "if (false) {"],
    ["a text of any length", "address.length > MAX_ADDRESS_LENGTH ? undefined : banKey(", "banKey("],
  ]),
  ...faultsOf("src/admin/connection_routes.ts", ["tests/redis/admin_test.ts"], [
    ["the connections of one node are taken for all", "node: cluster?.name,", ""],
  ]),
  ...faultsOf("src/cli/commands/list_command.ts", ["tests/redis/admin_test.ts"], [
    ["the command says nothing of other nodes", "if (node !== undefined) {", "if (false) {"],
  ]),
  ...faultsOf("src/admin/page/base.js", ["tests/admin/page_hostile_test.ts"], [
    ["what breaks lines", "/[\\p{C}\\p{Zl}\\p{Zp}]/gu", "/[]/gu"],
    ["a name turns the words around it", "return `\\u2068${visible(text)}\\u2069`;", "return visible(text);"],
    [
      "a value that ends its quotes",
      '"${visible(text.replace(/["\\\\]/g, "\\\\$&"))}"',
      '"${visible(text)}"',
    ],
  ]),
  ...faultsOf("src/admin/page/events.js", ["tests/admin/page_hostile_test.ts"], [
    ["a value is taken for a line", "quoted(value)])", "String(value)])"],
    ["a value turns the next one around", 'element("bdi", {}, value),', "value,"],
  ]),
  ...faultsOf("src/admin/page/lists.js", ["tests/admin/page_hostile_test.ts"], [
    ["a name as it came", "main.textContent = visible(text);", "main.textContent = text;"],
  ]),
  ...faultsOf("src/admin/page/monitor.css", ["tests/admin/page_hostile_test.ts"], [
    ["marks over other rows", "  overflow: clip;", ""],
  ]),
  ...faultsOf("src/admin/page/page.css", ["tests/admin/page_hostile_test.ts"], [
    ["marks over other records", "  overflow: clip;", ""],
  ]),
  ...faultsOf("src/admin/page/lists.js", ["tests/admin/page_monitor_test.ts"], [
    ["the page says nothing of other nodes", 'node === undefined ? "" : `These', 'true ? "" : `These'],
    ["the page says nothing of a lost Redis", "partial ? ", "false ? "],
    ["a change that not all nodes know of", "answer?.everywhere === false", "false"],
  ]),
  ...faultsOf("src/admin/page/lists.js", ["tests/admin/page_access_test.ts"], [
    ["the focus is lost with a row", "if (document.activeElement !== focused) focusOn", "if (false) focusOn"],
    [
      "the focus is lost when a row goes while its question is open",
      "if (!opener.isConnected) focusOn",
      "if (false) focusOn",
    ],
  ]),
  ...faultsOf("src/admin/page/monitor.css", ["tests/admin/page_access_test.ts"], [
    ["what is old is too pale", "  border-style: dashed;", "  opacity: 0.5;"],
  ]),
  ...faultsOf("src/admin/page/page.css", ["tests/admin/page_access_test.ts"], [
    ["soft text is too soft", "--soft: #566072;", "--soft: #868f9e;"],
  ]),
  ...faultsOf(
    "src/admin/event_stream.ts",
    ["tests/admin/event_stream_test.ts", "tests/admin/events_test.ts"],
    [
      ["any number of streams", "if (this.#open.size >= MAX_STREAMS) return undefined;", ""],
      ["a reader that does not keep up", "if ((controller.desiredSize ?? 0) > 0) return;", "return;"],
      ["a stream that outlives its right", "if (!mayRead()) return end();", ""],
    ],
  ),
  ...faultsOf("src/endpoints/sessions/session.ts", [
    "tests/endpoints/secure_test.ts",
    "tests/endpoints/session_registry_test.ts",
    "tests/endpoints/methods/methods_test.ts",
    "tests/endpoints/rpc_conversation_test.ts",
  ], [
    [
      "messages after the end",
      "  message(data: Message): void | Promise<void> {\n    if (!this.#isOpen) return;",
      "  message(data: Message): void | Promise<void> {",
    ],
    [
      "a session outlives its token",
      "this.#cancelExpiry = ringAt(clock, expiresAtMs, () => this.end(ENDINGS.expired));",
      "",
    ],
    [
      "a refresh does not extend",
      '    this.#cancelTimers();\n    this.#setTimers();\n    this.#options.log("session.refreshed"',
      '    this.#options.log("session.refreshed"',
    ],
    [
      "earlier tokens are forgotten",
      "this.#usedTokens = [...others, { jti, expiresAtMs }]",
      "this.#usedTokens = [{ jti, expiresAtMs }]",
    ],
    ["a session that ended still counts", "    this.#options.onEnded(this);\n", ""],
  ]),
  ...faultsOf("src/endpoints/sessions/session_registry.ts", ["tests/endpoints/session_registry_test.ts"], [
    ["a session too many", "sessions.size >= maxSessionsPerUser", "sessions.size > maxSessionsPerUser"],
    ["revoked tokens", "if (this.#options.revocations.covers(identity)) return ENDINGS.revoked;", ""],
    ["sessions that a revocation concerns go on", "if (isConcerned) session.end(ENDINGS.revoked);", ""],
    [
      "the newest is closed, not the oldest",
      "[...sessions].slice(0, sessions.size - maxSessionsPerUser + 1)",
      "[...sessions].slice(-1)",
    ],
    ["close codes that are not for the wire", "if (!isValidCloseCode(code)) throw", "if (false) throw"],
    [
      "tokens are not marked as used",
      "this.#store(identity, (usedTokens) => usedTokens.mark(identity));",
      "",
    ],
  ]),
  ...faultsOf("src/endpoints/sessions/used_tokens.ts", ["tests/endpoints/session_registry_test.ts"], [
    [
      "a memory that is looked through often keeps the file from it",
      "Math.abs(nowMs - this.#fileSweptAtMs) < SWEEP",
      "Math.abs(nowMs - this.#sweptAtMs) < SWEEP",
    ],
    ["a token twice", "if ((this.#used.get(jti) ?? 0) > nowMs) return ENDINGS.replayed;", ""],
    [
      "a token without a name",
      'if (typeof jti !== "string") return ENDINGS.unnamed;',
      'if (typeof jti !== "string") return undefined;',
    ],
    [
      "a replay memory without an end",
      "this.#used.size < MAX_USED_TOKENS ? undefined : ENDINGS.busy",
      "undefined",
    ],
    ["a restart that forgets", "this.#file?.addUsedToken({ jti, expiresAtMs });", ""],
  ]),
  ...faultsOf("src/endpoints/sessions/revocation_store.ts", ["tests/endpoints/revocation_store_test.ts"], [
    [
      "revocations that ran out",
      "if (revocation.expiresAtMs <= nowMs) this.#forget(revocation);",
      "if (false) this.#forget(revocation);",
    ],
    ["a token from ahead", "revocation.revokedAtMs + this.#clockToleranceMs", "revocation.revokedAtMs"],
    ["a shorter revocation", "Math.max(replaced.expiresAtMs, given.expiresAtMs)", "given.expiresAtMs"],
    ["earlier ones that come back", "if (isMerged) this.file", "if (false) this.file"],
  ]),
  ...faultsOf("src/endpoints/sessions/state_file.ts", ["tests/endpoints/revocation_store_test.ts"], [
    ["open state files", "(mode & 0o077) !== 0", "false"],
    ["damaged state files", '?.["quick_check"] !== "ok"', '?.["quick_check"] === ""'],
    [
      "databases of other programs",
      'isNew ? version !== 0 : readPragma(database, "application_id") !== APPLICATION_ID',
      "false",
    ],
    ["other formats", "if (!isNew && (version < 1 || version > SCHEMA_VERSION)) {", "if (false) {"],
    ["two processes with one file", 'database.exec("PRAGMA locking_mode = EXCLUSIVE");', ""],
    ["the mode of a new file", "createNew: true, mode: 0o600", "createNew: true, mode: 0o644"],
    ["triggers and other tables", "  checkSchema(database, path, version);\n", ""],
    ["a table that is missing", "if (rows.length !== 2 * expected.length) throw", "if (false) throw"],
    ["any number of used tokens is read", 'known?.["count"]) > MOST_IN_FILE', 'known?.["count"]) > Infinity'],
    [
      "used tokens of any length are read",
      'known?.["longest"]) > MAX_NAME_SIZE',
      'known?.["longest"]) > Infinity',
    ],
    [
      "any number of revocations is read",
      'known?.["count"]) > MOST_REVOCATIONS',
      'known?.["count"]) > Infinity',
    ],
    ["rows without an expiry", "isRevocation(revocation) && revocation.id", "revocation.id"],
    ["a file that was removed", "if (identityOf(this.#path) !== this.#identity) throw", "if (false) throw"],
  ]),
  ...faultsOf("src/endpoints/sessions/clock.ts", ["tests/endpoints/clock_test.ts"], [
    [
      "a date that is compared once",
      "Math.min(remainingMs, DATE_CHECK_INTERVAL_MS)",
      "Math.min(remainingMs, MAX_DELAY_MS)",
    ],
    ["a ring before its time", "if (nowMs < timeMs) cancel = arm();", "if (false) cancel = arm();"],
    ["a ring after the end", "else if (nowMs < endMs) ring();", "else ring();"],
  ]),
  ...faultsOf("src/core/standstill.ts", ["tests/core/standstill_test.ts"], [
    ["a peer that is punished for a standstill", "timer.now() - dueAtMs < LATE_MS", "true"],
    ["a deadline that never comes", " || graces-- === 0", ""],
    [
      "a peer that is punished for a late look",
      "lateMs >= LATE_MS && this.#graces",
      "this.#graces < 0 && this.#graces",
    ],
    ["a late look for ever", "      this.#graces--;\n", ""],
    ["a standstill that shortens a deadline", " && this.#dueMs < nowMs + this.#graceMs", ""],
  ]),
  ...faultsOf("src/endpoints/sessions/presentation.ts", ["tests/endpoints/presentation_test.ts"], [
    ["tokens in the query", "if (inQuery.length > 0 && !insecureTokenInQuery) return IN_QUERY;", ""],
    ["two tokens", "if (tokens.length > 1) return TWO_WAYS;", ""],
    ["other schemes", "if (inHeader === null) return OTHER_SCHEME;", ""],
    ["tokens under other names", '= ["token", "access_token", "jwt"]', '= ["token"]'],
    ["a token alone is answered", "select(offered) ?? holder", "select(offered)"],
    ["names in capitals", "QUERY_NAMES.includes(name.toLowerCase())", "QUERY_NAMES.includes(name)"],
  ]),
  ...faultsOf("src/admin/event_feed.ts", ["tests/admin/events_test.ts"], [
    ["records without end", "if (this.#records.length > MAX_RECORDS) this.#records.shift();", ""],
    ["who has left is told on", "return () => this.#watchers.delete(watcher);", "return () => {};"],
  ]),
  ...faultsOf("src/admin/page_of_list.ts", ["tests/admin/page_of_list_test.ts"], [
    ["a page of any size", " || size >= FULL_PAGE_SIZE", ""],
    ["a key for each of many items", "if (timeOf !== undefined) {", "if (false) {"],
    ["a page that begins too late", "if (ms < fromMs ||", "if (ms <= fromMs ||"],
    ["a page of any length", " || Number(limit) > MAX_PAGE_LENGTH", ""],
    ["a cursor of any length", "if (after.length > MAX_CURSOR_LENGTH) {", "if (false) {"],
  ]),
  ...faultsOf("src/cli/client/admin_url.ts", ["tests/cli/admin_commands_test.ts"], [
    ["a token leaves this machine", "(localhost|", "(localhost|[a-z.]+|"],
  ]),
];
