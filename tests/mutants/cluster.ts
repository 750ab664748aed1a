// Faults of the Redis client, and of what nodes share through it.

import { faultsOf } from "../../scripts/mutants/mutant.ts";

export const CLUSTER = [
  ...faultsOf("src/redis/reply_reader.ts", ["tests/redis/reply_reader_test.ts"], [
    ["a reply of any size", "if (this.#size > this.#limits.maxSize) {", "if (false) {"],
    ["a line of any size", "if (this.#lineSize + end - start > MAX_LINE_SIZE) {", "if (false) {"],
    ["a list of any length", "if (count > this.#limits.maxItems) {", "if (false) {"],
    ["lists of any depth", "if (this.#open.length >= this.#limits.maxDepth) {", "if (false) {"],
    ["memory for what was only said", "Math.min(wanted, FIRST_BULK_SIZE)", "wanted"],
    ["a text that ends elsewhere", "bulk.bytes[size - 2] !== CR || bulk.bytes[size - 1] !== LF", "false"],
  ]),
  ...faultsOf("src/redis/connection.ts", ["tests/redis/client_test.ts"], [
    [
      "a deadline that does not end the connection",
      "this.#lose(`no answer within",
      "void (`no answer within",
    ],
    ["a fault of ours is Redis's", "if (!isOwnFault(error)) return this.#lose", "return this.#lose"],
    ["a connection to a replica", '["READONLY", "LOADING",', '["LOADING",'],
    [
      "the words of a refusal",
      "this.#isGreeted ? describeError(reply) : describeRefusal(reply)",
      "describeError(reply)",
    ],
    ["an answer to nothing", 'throw new ReplyFormatError("an answer to nothing")', "return"],
  ]),
  ...faultsOf("src/core/ca_file.ts", ["tests/core/ca_file_test.ts"], [
    ["an authority that is no PEM", 'if (!text.includes("-----BEGIN CERTIFICATE-----")) {', "if (false) {"],
    ["an authority that can't be read", "Deno.createHttpClient({ caCerts: [text] }).close();", ""],
  ]),
  ...faultsOf("src/cluster/cluster.ts", ["tests/redis/tls_test.ts"], [
    ["the old authority after SIGHUP", "      this.#readCa();\n      log(", "      log("],
  ]),
  ...faultsOf("src/cluster/cluster.ts", ["tests/redis/lives_test.ts"], [
    [
      "a Redis that throws keys away",
      'if (typeof policy !== "string" || policy === "") return;',
      "if (true) return;",
    ],
  ]),
  ...faultsOf("src/redis/client.ts", ["tests/redis/client_test.ts"], [
    ["a clock of Redis that was set ahead", "if (aheadMs > SET_AHEAD_MS) {", "if (false) {"],
    ["scripts that Redis forgot", 'reply.code === "NOSCRIPT"', "false"],
    ["circles of a cluster", "++this.#moves > MAX_MOVES", "false"],
    ["many records of one loss", "if (!this.#isToldDown) {", "if (true) {"],
  ]),
  ...faultsOf("src/cluster/scripts.ts", ["tests/redis/nodes_test.ts"], [
    ["a token that was used elsewhere", "if used and used ~= sid then return {'USED', now} end", ""],
    ["the limit of all nodes", "if ARGV[6] == 'refuse-newest' then return {'FULL', now} end", ""],
  ]),
  ...faultsOf("src/cluster/scripts.ts", ["tests/redis/lives_test.ts"], [
    ["sessions of a dead node", "if not lives(other) or", "if"],
    ["keys that never end", "local function keep(node)", "local function keep(node) if true then return end"],
  ]),
  ...faultsOf("src/cluster/scripts.ts", ["tests/redis/scripts_test.ts"], [
    [
      "a node that is still there is swept",
      "if ARGV[3] ~= '1' and lives(node) then return {'OK', now, 0} end",
      "",
    ],
    ["the dead, when a clock is set back", "redis.call('ZADD', P..'nodes', now + lease, other)", ""],
    ["a token that is forgotten too early", "    lengthen(key, tonumber(ARGV[i + 2]))\n", ""],
    [
      "violations of long ago",
      "if count == tonumber(ARGV[i + 1]) or redis.call('PTTL', key) > tonumber(ARGV[2]) then",
      "if count == tonumber(ARGV[i + 1]) then",
    ],
    ["ghosts", "if now > tonumber(ARGV[1]) then return {'LATE', now} end", ""],
  ]),
  ...faultsOf("src/app/app.ts", ["tests/redis/lives_test.ts"], [
    ["old sessions that fill limits while a node stops", "await this.#cluster?.leave();", ""],
  ]),
  ...faultsOf("src/endpoints/secure/secure.ts", ["tests/redis/admission_test.ts"], [
    ["a session whose client is gone", "else this.#options.sessions.abandon(identity, id);", ""],
  ]),
  ...faultsOf("src/endpoints/sessions/session_registry.ts", ["tests/redis/admission_test.ts"], [
    [
      "a token used although nobody was let in",
      'if (verdict !== "ok") return refusalOf(verdict);',
      'this.#markUsed(identity); if (verdict !== "ok") return refusalOf(verdict);',
    ],
    [
      "two who waited together",
      "return verdict.then((late) => () => settle(late));",
      "return verdict.then((late) => { const ending = settle(late); return () => ending; });",
    ],
  ]),
  ...faultsOf("src/cluster/shared_list.ts", ["tests/redis/shared_list_test.ts"], [
    [
      "a hint that comes while a list is read",
      "this.#isStale = true;",
      "this.#isStale = this.#fetching === undefined;",
    ],
    ["what Redis would forget too early", "there.endsAtMs < endsAtMs - SET_AHEAD_MS", "false"],
    ["a list without end", "this.#known.size > 2 * maxEntries;", "false;"],
    ["what there was no room for", "this.#mayHaveRoom = this.#isFull;", ""],
    ["what was taken back comes again", "if (rank > entry.rank ||", "if (false ||"],
  ]),
  ...faultsOf("src/cluster/shared_sessions.ts", ["tests/redis/lives_test.ts"], [
    ["a place whose end was not told yet", 'if (status === "FULL") {', "if (false) {"],
  ]),
  ...faultsOf("src/cluster/membership.ts", ["tests/redis/loss_test.ts"], [
    ["a Redis that starts empty", "if (strange !== undefined && !this.#isJoining) await this.join();", ""],
    [
      "used tokens that an empty Redis forgets",
      "const tokens = replayCheck ? open?.usedTokens() ?? [] : [];",
      "const tokens: readonly { jti: string; expiresAtMs: number }[] = replayCheck ? [] : [];",
    ],
  ]),
  ...faultsOf("src/cluster/scripts.ts", ["tests/redis/leftovers_test.ts"], [
    ["two places of one session", "if old then redis.call('ZREM', P..'all', place(node, sid, old)) end", ""],
    ["places of nobody", "if not row then redis.call('ZREM', P..'all', member) end", ""],
    ["a node that nobody knows", "redis.call('ZADD', P..'nodes', 'NX', now + ${LEASE_MS}, node)", ""],
    ["the sessions of who asks, after a standstill", "leases[node] = true", ""],
    ["the sessions of others, after a standstill", "if there then release(other, id, there) end", ""],
  ]),
  ...faultsOf("src/cluster/directory.ts", ["tests/redis/leftovers_test.ts"], [
    [
      "a page that looks like the last",
      "return { sessions, next: from };",
      "return { sessions, next: undefined };",
    ],
    ["a list that goes nowhere", "if (!(String(next) > from))", "if (false)"],
  ]),
  ...faultsOf("src/endpoints/sessions/session_registry.ts", ["tests/redis/cluster_test.ts"], [
    [
      "tokens of a session that others are not told",
      "const added = given.map((one) => this.#withAllTokens(one));",
      "const added = given;",
    ],
  ]),
  ...faultsOf("src/cluster/shared_sessions.ts", ["tests/redis/leftovers_test.ts"], [
    [
      "what ended too early in Redis",
      "if (!this.#isDoubtful) this.#registered.add(String(id));",
      "this.#registered.add(String(id));",
    ],
    ["an extension that Redis refused", "for (const id of ids) this.#changed.add(id);", ""],
    ["sessions in vain fill the memory", "this.#ended.size < MAX_UNUSED_TOKENS", "true"],
  ]),
  ...faultsOf("src/cluster/shared_revocations.ts", ["tests/redis/cluster_test.ts"], [
    [
      "the longer of two revocations",
      "for (const { keptId, droppedId } of merged) this.add(keptId, droppedId);",
      "for (const { droppedId } of merged) this.takeBack(droppedId!, Date.now() + 3_600_000);",
    ],
  ]),
  ...faultsOf("src/cluster/shared_bans.ts", ["tests/redis/cluster_test.ts"], [
    [
      "violations of who is not banned any more",
      "    this.#forgetViolations(client);\n    if (endsAtMs",
      "    if (endsAtMs",
    ],
    ["a ban before there was a clock", "Number.isFinite(nowMs) ? nowMs : Date.now()", "nowMs"],
  ]),
  ...faultsOf("src/cluster/membership.ts", ["tests/redis/cluster_test.ts"], [
    [
      "what was not brought",
      "      await this.#bringAll();\n",
      "      this.#epoch = epoch;\n      await this.#bringAll();\n",
    ],
  ]),
  ...faultsOf("src/cluster/shared_list.ts", ["tests/redis/cluster_test.ts"], [
    [
      "opposite things at once",
      "(rank === entry.rank && isTakenBack === wasTakenBack)",
      "rank === entry.rank",
    ],
  ]),
  ...faultsOf("src/endpoints/sessions/revocation_store.ts", ["tests/endpoints/revocation_store_test.ts"], [
    ["a revocation of another node that stays in the file", "      gone.add(id);\n", ""],
    ["one that took the place of another and is stored beside it", "gone.add(replaced.id);", ""],
  ]),
  ...faultsOf("src/firewall/admission.ts", ["tests/firewall/admission_test.ts"], [
    [
      "a dry run that bans elsewhere",
      "if (firewallDryRun) isBan && this.#banned(key, banTime);",
      "if (false) isBan;",
    ],
    ["a look at all connections for who has none", "if (this.#clients.connectionsOf(key) === 0) return;", ""],
    ["a longer ban", "if (this.#clients.isBanned(key, performance.now())) return;", ""],
  ]),
  ...faultsOf("src/core/settings/setting_types.ts", ["tests/redis/lives_test.ts"], [
    ["a password that is written wrongly", 'if ("refuseFlag" in setting)', "if (false)"],
    ["a password in a flag", "const refusal = setting.refuseFlag?.(value);", "const refusal = undefined;"],
  ]),
];
