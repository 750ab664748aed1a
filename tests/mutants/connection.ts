// Faults of a connection: its closing, timeouts and rates, its messages, and what it may make the process hold.

import { faultsOf } from "../../scripts/mutants/mutant.ts";

const BEHAVIOUR = [
  "tests/firewall/connection_test.ts",
  "tests/firewall/limits_test.ts",
  "tests/firewall/order_test.ts",
  "tests/endpoints/endpoint_test.ts",
];

/** A connection whose clock and sockets are moved by hand. */
const MANUAL = "tests/firewall/connection/connection_test.ts";

/** What only the running program shows: memory, bans, peers that do not read. */
const WHOLE = ["tests/attacks/runtime_facts_test.ts", "tests/cli/settings_effect_test.ts"];

export const CONNECTION = [
  ...faultsOf("src/firewall/connection/closing.ts", ["tests/firewall/closing_test.ts"], [
    ["a second cause changes the first", 'if (this.#state !== "open") return false;', ""],
    ["the code of a record is ours", "this.#received ?? this.#own ??", "this.#own ?? this.#received ??"],
    ["1006 is recorded as 1000", "code: ABNORMAL_CLOSURE, reason", "code: 1000, reason"],
    [
      "a Close of the peer is not answered",
      'return this.begin("the peer", close);',
      'return this.begin("the peer", undefined);',
    ],
  ]),
  ...faultsOf("src/firewall/connection/liveness.ts", ["tests/firewall/connection/liveness_test.ts"], [
    ["the send timeout", "nowMs - times.sentMs >= limits.sendTimeout", "false"],
    ["the longest lifetime", "nowMs - times.openedMs >= limits.maxLifetime", "false"],
    ["unfinished messages that do not grow", "nowMs - times.messageMs >= limits.messageTimeout", "false"],
    ["the idle timeout", "nowMs - times.dataMs >= limits.idleTimeout", "false"],
    ["the answer to a Ping", "nowMs - times.pingMs >= limits.pingTimeout", "false"],
    [
      "Pings",
      'nowMs - times.heardMs >= limits.pingInterval && times.pingMs === Infinity ? "ping" : undefined',
      "undefined",
    ],
    ["a Ping after each sweep", " && times.pingMs === Infinity ?", " ?"],
    ["a process that stood still", "times.pingMs += byMs;", ""],
    ["who is not read is late", 'if (times.isUnread) return "ping";', ""],
  ]),
  ...faultsOf("src/firewall/connection/connection.ts", ["tests/attacks/planted_faults_test.ts"], [
    [
      "a fault waits for answers",
      "      this.#sayClose();\n      this.#outbox.release();\n",
      "      this.#outbox.release();\n",
    ],
    [
      "a fault among frames is not told",
      "      this.#sayClose();\n      this.#outbox.release();\n",
      "      this.#sayClose();\n",
    ],
  ]),
  ...faultsOf("src/firewall/connection/connection.ts", ["tests/firewall/connection/connection_test.ts"], [
    [
      "a fault in a sweep is everybody's",
      "      this.#sweep(nowMs);\n    } catch (error) {\n      this.fault(error);",
      "      this.#sweep(nowMs);\n    } catch (error) {\n      throw error;",
    ],
    [
      "a fault that others come to is theirs",
      "      work();\n    } catch (error) {\n      this.fault(error);",
      "      work();\n    } catch (error) {\n      throw error;",
    ],
  ]),
  ...faultsOf("src/firewall/connection/rates.ts", BEHAVIOUR, [
    ["the rate of frames", "this.#frames !== undefined && this.#frames.available(nowMs) < 1", "false"],
    [
      "the rate of bytes",
      "this.#bytes !== undefined && this.#bytes.available(nowMs) < this.#leastBytes",
      "false",
    ],
    ["frames are not counted", "if (count > 0) this.#frames?.spend(count, this.#turnMs);", ""],
    ["bytes are not counted", "this.#bytes?.spend(count, this.#turnMs);", ""],
  ]),
  ...faultsOf("src/firewall/connection/connection.ts", [MANUAL, ...BEHAVIOUR, ...WHOLE], [
    ["a limit on rates that says close", 'this.#limits.onRateLimit === "close" && ', "false && "],
    ["reading a peer that does not read", "if (!way.isReady || outbox.isBehind) {", "if (!way.isReady) {"],
    [
      "a peer that never answers a Close",
      "if (nowMs >= this.#deadlineMs) return this.#passDeadline(nowMs);",
      "",
    ],
    ["messages after the closing has begun", "    this.#way.discard();\n", ""],
    ["the budget does not know of a connection", "    budget.add(this, fixedBytes);\n", ""],
    ["the budget keeps a connection that is gone", "      budget.remove(this);\n", ""],
    ["turns are never asked for", " && !this.#options.budget.mayGrow(this)) {", " && false) {"],
    ["who is shed keeps what is held for it", "if (isWriting) this.#outbox.drop();", ""],
    ["a stalled peer is not cut", 'if (due.rule === "send_timeout") this.cut();', ""],
    [
      "frames are taken without a rate",
      "const taken = way.take(buffer, rates.frames());",
      "const taken = way.take(buffer, Infinity);",
    ],
  ]),
  ...faultsOf("src/firewall/connection/connection.ts", ["tests/cli/session_limits_test.ts"], [
    [
      "a batch is judged without the frame it came in",
      "    this.#spendFrames();\n    const overdrawn",
      "    const overdrawn",
    ],
  ]),
  ...faultsOf("src/firewall/connection/account.ts", [MANUAL, ...BEHAVIOUR, ...WHOLE], [
    [
      "violations do not count toward a ban",
      'if (event === "protocol.error") this.#options.onViolation();',
      "",
    ],
    [
      "limits count toward a ban",
      'if (event === "protocol.error") this.#options.onViolation();',
      "this.#options.onViolation();",
    ],
  ]),
  ...faultsOf("src/firewall/connection/message_reader.ts", [
    "tests/firewall/order_test.ts",
    "tests/endpoints/echo_test.ts",
    "tests/firewall/limits_test.ts",
    "tests/firewall/connection_test.ts",
  ], [
    [
      "a piece under the mask of its beginning",
      "this.#maskKey = rotateMaskKey(header.maskKey, end - start);",
      "this.#maskKey = header.maskKey;",
    ],
    ["a byte order mark is lost", "{ ignoreBOM: true }", "{ ignoreBOM: false }"],
  ]),
  ...faultsOf("src/firewall/memory_budget.ts", ["tests/firewall/memory_budget_test.ts"], [
    ["what is held is not counted", "    this.#usedBytes += bytes;\n", ""],
    ["nobody is shed at the limit", "while (this.#usedBytes > this.#limitBytes && ", "while (false && "],
    ["others pay for what leaves", " && this.#stayingBytes() > this.#limitBytes) {", ") {"],
    ["what has left still counts", "    this.#leaving.delete(holder);\n", ""],
    [
      "what a removed holder held stays",
      "this.change(-holder.heldBytes - account.fixedBytes);",
      "this.change(-account.fixedBytes);",
    ],
    [
      "what a removed holder cost stays",
      "this.change(-holder.heldBytes - account.fixedBytes);",
      "this.change(-holder.heldBytes);",
    ],
    ["waiters are never resumed", "for (const holder of waiting) holder.resume();", ""],
    [
      "small messages wait",
      "if (!this.isTight || !isLarge(holder) || ",
      "if (!this.isTight || ",
    ],
    ["everybody may grow", "    this.#waiting.add(holder);\n    return false;", "    return true;"],
    [
      "turns have no end",
      "    this.#leaders.clear();\n",
      "",
    ],
    ["who sits on memory stays", "if (!this.#leaving.has(holder)) this.#shed(holder);", ""],
    ["the one with progress goes first", "(stalls !== isStalled ? stalls : held > most)", "held > most"],
    [
      "the last to ask is the next",
      "for (const holder of this.#waiting) {",
      "for (const holder of [...this.#waiting].reverse()) {",
    ],
    [
      "who drips is held back instead of shed",
      "if (this.#holders.get(holder)!.stalledSweeps > 0) return true;",
      "",
    ],
    ["a trickle is progress for ever", "MIN_PROGRESS * 2 ** doublings", "MIN_PROGRESS"],
    ["all lead at once", "if (this.#leaders.size > 0 && bytes > ", "if (false && bytes > "],
    ["who waits is taken for stalled", " && !this.#waiting.has(holder);", ";"],
  ]),
  ...faultsOf("src/firewall/connection/outbox.ts", ["tests/firewall/outbox_test.ts"], [
    [
      "messages after the Close",
      "  send(message: string | ArrayBuffer): void {\n    if (this.#isEnded) return;",
      "  send(message: string | ArrayBuffer): void {",
    ],
    [
      "Pongs after the Close",
      "  pong(bytes: Uint8Array, start: number, end: number): void {\n    if (this.#isEnded) return;",
      "  pong(bytes: Uint8Array, start: number, end: number): void {",
    ],
    [
      "a Close inside a frame",
      "if (!this.#isAtBoundary || this.#isEnded) return;",
      "if (this.#isEnded) return;",
    ],
    ["a second Close", "this.#closeDue ??= encodeClose(close);", "this.#closeDue = encodeClose(close);"],
    ["what is put in is not counted", "    this.pendingBytes += bytes;\n", ""],
    ["the budget is not told", "    this.#onPending(bytes);\n", ""],
    ["frames before the response head", " || !this.#isStarted || ", " || "],
    ["what was dropped is still pending", "      this.#changePending(-chunk.end);\n", ""],
  ]),
  ...faultsOf("src/firewall/connection/outbox.ts", ["tests/firewall/connection/connection_test.ts"], [
    [
      "no message is read while an answer is on its way",
      "this.isWriting && this.pendingBytes > MOST_AHEAD",
      "this.isWriting",
    ],
    ["a byte more", "this.pendingBytes > MOST_AHEAD", "this.pendingBytes > MOST_AHEAD + 1"],
  ]),
  ...faultsOf("src/firewall/ways/served.ts", [MANUAL, ...BEHAVIOUR, ...WHOLE], [
    [
      "a handler that has not finished does not wait",
      "return this.#receiver !== undefined && this.#answer === undefined;",
      "return this.#receiver !== undefined;",
    ],
    [
      "replies that nobody reads pile up",
      'if (this.#outbox.pendingBytes >= MOST_PENDING) return "wait";',
      "",
    ],
    ["messages after a Close of ours", "this.#reader.isDiscarding = true;", ""],
    ["an endpoint that never learns of the end", "writeAll(inner, frame).catch", "Promise.resolve().catch"],
  ]),
  ...faultsOf("src/firewall/connection/buffer_stock.ts", ["tests/firewall/connection/buffer_stock_test.ts"], [
    ["any number of spare buffers", "if (this.#spare.length < this.#mostSpare)", "if (true)"],
    ["any number of large buffers", "return this.#taken < this.#mostTaken;", "return true;"],
    ["what is given back is taken still", "    this.#taken--;\n", ""],
  ]),
];
