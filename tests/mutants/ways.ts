// Faults of a connection's parts and of the two ways to an endpoint that a test notices without a network.

import { faultsOf } from "../../scripts/mutants/mutant.ts";

const BY_HAND = ["tests/firewall/connection/connection_test.ts"];

export const WAYS = [
  ...faultsOf("src/firewall/connection/watch.ts", BY_HAND, [
    [
      "one byte is progress",
      "received - this.#progressFrom >= MESSAGE_PROGRESS",
      "received > this.#progressFrom",
    ],
    [
      "anything is progress",
      "isNext || times.messageMs === Infinity ||",
      "isNext || times.heardMs === nowMs || times.messageMs === Infinity ||",
    ],
    [
      "a next message is as late as the one before",
      "isNext || times.messageMs === Infinity ||",
      "times.messageMs === Infinity ||",
    ],
    [
      "a message that waits for its rate is late",
      "times.messageMs === Infinity || isUnread ||",
      "times.messageMs === Infinity ||",
    ],
    [
      "Pings are activity",
      "      times.heardMs = nowMs;\n",
      "      times.heardMs = times.dataMs = nowMs;\n",
    ],
    [
      "who is not read is silent",
      "times.isUnread = isUnread;",
      "",
    ],
    ["who reads slowly does not read", "!isWriting || sentBytes !== this.#seenBytesOut", "!isWriting"],
    [
      "messages of the endpoint are not activity",
      " || way.messagesOut !== this.#seenMessagesOut) {",
      ") {",
    ],
    [
      "the growth of a message is not activity",
      "isNext || received > this.#seenReceived || way",
      "isNext || way",
    ],
    [
      "control frames are activity",
      "const isNext = messages !== this.#seenMessagesIn || received < this.#seenReceived;",
      "const isNext = messages !== this.#seenMessagesIn || received < this.#seenReceived || way.check.frames > 0;",
    ],
  ]),
  ...faultsOf("src/firewall/connection/linger.ts", ["tests/firewall/handshake/refusing_test.ts"], [
    ["reading at full speed after both have closed", "if (left <= 0) await new", "if (false) await new"],
    ["who sends on is reset", "if (left <= 0) await new", "if (left <= 0) return; else if (false) await new"],
  ]),
  ...faultsOf("src/firewall/connection/connection.ts", BY_HAND, [
    ["who is shed goes on behind what it does not read", "    if (isWriting) this.cut();\n", ""],
    ["the deadline never starts", "this.#deadlineMs = performance.now() + timeoutMs;\n", "\n"],
    ["the endpoint is not cut after the deadline", "if (this.#isPeerGone) this.#way.cut();", ""],
    [
      "the endpoint is not told of the end",
      "      this.#way.tell(received ?? own, received !== undefined);\n",
      "",
    ],
    ["a standstill is not excused", "    excuse(this.#watch.times, byMs);\n", ""],
    ["a standstill shortens the closing", "    this.#deadlineMs += byMs;\n", ""],
    [
      "a fault is not contained",
      "      this.fault(error);\n      // It is said",
      "      throw error;\n      // It is said",
    ],
    [
      "a Close overtakes an answer",
      "const answered = isOwed ? this.#way.answered() : undefined;",
      "const answered = (isOwed ? undefined : undefined) as Promise<void> | undefined;",
    ],
    [
      "an endpoint that closes waits for its own answer",
      'this.#closing.state !== "closing by the endpoint" && !this.#isPeerGone',
      "!this.#isPeerGone",
    ],
    [
      "the endpoint that closes is not told what the peer said",
      'if (state !== "closing by the endpoint") this.#way.tell(own, state === "closing by the peer");',
      'this.#way.tell(own, state === "closing by the peer");',
    ],
    [
      "violations after the closing has begun",
      'if (this.#closing.isOpen) this.#breakRule("protocol.error"',
      'this.#breakRule("protocol.error"',
    ],
    [
      "what a read goes to is counted after it",
      "const wasOpen = this.#closing.isOpen;\n      this.#count();",
      "const wasOpen = this.#closing.isOpen;",
    ],
    ["who is shed reads to what it has let go of", "if (wasOpen && !this.#closing.isOpen) continue;", ""],
    ["one read more of a peer that does not read", "      if (outbox.isBehind) continue;\n", ""],
    [
      "who does not end after both have closed",
      "    this.#deadlineMs = Math.min(this.#deadlineMs, performance.now() + LINGER_MS);\n",
      "",
    ],
    ["buffers of those that are gone are not given back", "      this.#buffer.release();\n", ""],
    [
      "who is shed waits for its turn for ever",
      "  resume(): void {\n    this",
      "  resume(): void {\n    if (this.heldBytes > 100_000) return;\n    this",
    ],
  ]),
  ...faultsOf("src/firewall/connection/account.ts", BY_HAND, [
    ["broken rules are not counted", "    countUp(this.#options.counters.violations, rule);\n", ""],
    ["ends are not counted by code", "    countUp(counters.closes, code);\n", ""],
    ["an end that was not clean is", "received !== undefined && isSaid", "isSaid"],
    ["a standstill makes a connection younger", "openedMs: this.#openedMs", "openedMs: performance.now()"],
  ]),
  ...faultsOf("src/firewall/connection/liveness.ts", ["tests/firewall/connection/liveness_test.ts"], [
    ["a standstill counts as life", "times.openedMs += byMs;", ""],
    ["a standstill counts as silence", "times.dataMs += byMs;", ""],
    ["a standstill counts as a stall", "times.sentMs += byMs;", ""],
    ["a standstill counts against a message", "times.messageMs += byMs;", ""],
    ["a Ping is due for a standstill", "times.heardMs += byMs;", ""],
  ]),
  ...faultsOf("src/firewall/connection/closing.ts", ["tests/firewall/connection/closing_test.ts"], [
    ["a Close of the peer that is not noted", "    this.#received = close;\n", ""],
    ["it never begins", "    this.#state = `closing by ${by}`;\n", ""],
  ]),
  ...faultsOf("src/firewall/connection/rates.ts", [...BY_HAND, "tests/firewall/connection/rates_test.ts"], [
    ["frames of one turn without end", "const FRAMES_PER_TURN = 64;", "const FRAMES_PER_TURN = Infinity;"],
    ["what a batch owes", "    this.spendFrames(more);\n", ""],
    [
      "a batch that is paid for is too much",
      "this.#frames.available(this.#turnMs) >= 0",
      "this.#frames.available(this.#turnMs) > 1",
    ],
    ["frames that come one by one without end", "    this.#inTurn += count;\n", ""],
  ]),
  ...faultsOf("src/firewall/connection/turns.ts", ["tests/firewall/connection/turns_test.ts"], [
    ["all come to their turn at once", "if (left-- === 0) break;", ""],
    ["who has left comes to a turn", "return () => this.#waiting.delete(go);", "return () => {};"],
    ["the rest never comes to its turn", "      this.#time();\n    }, 0);", "    }, 0);"],
  ]),
  ...faultsOf("src/firewall/connection/pause.ts", ["tests/firewall/connection/turns_test.ts"], [
    ["what was written gives a turn", "while (!isDue && !isOver()) await", "await"],
  ]),
  ...faultsOf("src/firewall/connection/read_buffer.ts", ["tests/firewall/connection/read_buffer_test.ts"], [
    [
      "a buffer that is looked at again is made small",
      "if (from === this.start && this.end === this.#carriedEnd) return;",
      "",
    ],
    ["a large buffer is never given back", "used <= smaller.sizeBytes / 2", "used < 0"],
    ["large buffers without end", "if (larger?.hasMore)", "if (larger)"],
    ["a buffer that is too large is read on", " && used > smaller / 2;", ";"],
    ["a buffer is read on to its end", "return used <= this.bytes.length / 2 && ", "return "],
    ["what is carried is lost", "} else if (kept > 0) this.bytes", "} else if (kept > 9) this.bytes"],
    [
      "a read larger than its rate",
      "Math.min(this.bytes.length, this.end + Math.floor(most))",
      "this.bytes.length",
    ],
  ]),
  ...faultsOf("src/firewall/connection/message_reader.ts", [
    "tests/firewall/connection/message_reader_test.ts",
    "tests/firewall/connection/frame_check_test.ts",
  ], [
    ["bad UTF-8 that is decoded", "text.includes(REPLACEMENT) && !isUtf8(payload)", "false"],
    ["a replacement character is refused", " && !isUtf8(payload)) {", ") {"],
    ["a text that ends inside a code point", " && whole.isComplete;", ";"],
    [
      "a piece that is not checked",
      "if (this.#utf8.accepts(this.#payload!, from, this.#size, 0)) return",
      "return",
    ],
    [
      "only the first piece is checked",
      "this.#payload!, from, this.#size, 0",
      "this.#payload!, from, Math.min(this.#size, 4096), 0",
    ],
    ["room for what was announced", "Math.max(FIRST_ROOM, 2 * this.#size)", "2 ** 26"],
    ["room for one piece after the other", "Math.max(FIRST_ROOM, 2 * this.#size)", "0"],
    [
      "a direct read of what is thrown away",
      " || this.isDiscarding) return undefined;",
      ") return undefined;",
    ],
    [
      "a mask that stands still in a direct read",
      "    this.#maskKey = rotateMaskKey(key, size);\n    // The",
      "    // The",
    ],
    [
      "a mask that stands still in a piece",
      "this.#maskKey = rotateMaskKey(key, size);\n    return",
      "return",
    ],
    ["a message of another connection's bytes", "payload.slice().buffer", "payload.buffer"],
    ["Pings are not counted", "    check.frames++;\n", ""],
  ]),
  ...faultsOf("src/firewall/connection/frame_check.ts", [
    "tests/firewall/connection/frame_check_test.ts",
    "tests/firewall/peer_frames_test.ts",
  ], [
    ["a Close of one byte", "if (end - start === 1) {", "if (end - start === -1) {"],
    ["a Close with any code", "if (!isValidCloseCode(code)) this", "if (false) this"],
    ["a Close whose reason ends inside a code point", " || !reason.isComplete", ""],
    [
      "a Close with a bad reason",
      "!reason.accepts(bytes, start + 2, end, 0) || ",
      "!reason.accepts(bytes, start + 2, start + 2, 0) || ",
    ],
    ["a Close under its mask", "    unmask(bytes, start, end, this.header.maskKey);\n", ""],
    [
      "fragments are not counted by the rate",
      "    this.frames++;\n  }\n\n  /** The message is whole",
      "    if (header.opcode !== OPCODE.continuation) this.frames++;\n  }\n\n  /** The message is whole",
    ],
    [
      "a Close is not counted by the rate",
      "    this.frames++;\n    if (start === end)",
      "    if (start === end)",
    ],
    ["fragments are not counted", "    message.fragments++;\n", ""],
    ["bytes are not counted", "    message.bytes += header.payloadLength;\n", ""],
    ["messages are not counted", "      this.messages++;\n", ""],
    ["a message leaves its bytes to the next", "    message.bytes = 0;\n", ""],
    ["a message leaves its fragments to the next", "    message.fragments = 0;\n", ""],
    ["sizes are not observed", "    this.#sizes.observe(message.bytes);\n", ""],
    [
      "a header is refused only when it is whole",
      "this.violation = firstViolation(this.#firstBytesRules",
      "this.violation = !isWhole ? undefined : firstViolation(this.#firstBytesRules",
    ],
  ]),
  ...faultsOf("src/protocol/masking.ts", ["tests/firewall/connection/message_reader_test.ts"], [
    [
      "one word too few",
      "const stop = (bytes.byteOffset + end) >> 2;",
      "const stop = ((bytes.byteOffset + end) >> 2) - 1;\n    if (stop < 0) return;\n    at = end;",
    ],
    [
      "one word too many",
      "const stop = (bytes.byteOffset + end) >> 2;",
      "const stop = (bytes.byteOffset + end + 3) >> 2;",
    ],
    [
      "the words begin one too late",
      "let word = (bytes.byteOffset + at) >> 2;",
      "let word = ((bytes.byteOffset + at) >> 2) + 1;",
    ],
    [
      "a key that does not follow the bytes before the words",
      "rotateMaskKey(maskKey, at - start)",
      "maskKey",
    ],
    ["the words of the buffer before", "if (words.buffer !== bytes.buffer) ", "if (words === keyWord) "],
  ]),
  ...faultsOf("src/firewall/connection/outbox.ts", ["tests/firewall/outbox_test.ts", ...BY_HAND], [
    ["a frame of ours inside a relayed one", "this.#isAtBoundary = boundary === bytes.length;", ""],
    [
      "a relayed frame after the Close",
      "if (this.#isEnded || bytes.length === 0) return this.#flush();",
      "if (bytes.length === 0) return this.#flush();",
    ],
    ["buffers that are written are not given back", "        chunk.release();\n", ""],
    ["a text cut to its room", "read < text.length || ", ""],
    ["what was written is still pending", "          this.#changePending(-size);\n", ""],
    ["what is lost is still pending", "      this.#changePending(-this.pendingBytes);\n", ""],
    ["nothing was sent", "          this.sentBytes += size;\n", ""],
    ["each message is written by itself", "this.isWriting || this.#isHeld || ", "this.isWriting || "],
    ["the loss of the peer is not told", "      this.#onLost(error);\n", ""],
    [
      "relayed bytes after the end",
      "  relay(bytes: Uint8Array, boundary: number): void {\n    if (this.#isEnded) return;\n",
      "  relay(bytes: Uint8Array, boundary: number): void {\n",
    ],
  ]),
  ...faultsOf("src/firewall/ways/served.ts", BY_HAND, [
    ["the unfinished message is held after the end", "    this.#reader.release();\n", ""],
    [
      "a direct read larger than its rate",
      "room.length <= most ? room : room.subarray(0, Math.floor(most))",
      "room",
    ],
    ["an endpoint that does not end is not cut", "    this.#end.resolve();\n", ""],
    ["the end of the endpoint is not noticed", "    this.#host?.endpointEnded();\n", ""],
    [
      "an end before the beginning is not noticed",
      "if (this.#hasEnded) this.endpointEnded();\n    else ",
      "",
    ],
    [
      "the hop of an endpoint that has ended is left open",
      "if (this.#inner !== undefined) closeQuietly(this.#inner);\n    this.#end",
      "this.#end",
    ],
    [
      "an endpoint is told with a code that it takes for an error",
      "close.code === 1014 ?",
      "close.code === 0 ?",
    ],
    ["a Pong of other bytes", "reader.pingStart, reader.pingEnd)", "0, reader.pingEnd - reader.pingStart)"],
    ["an endpoint that is ready first is never opened", "    else this.#onStarted?.();\n", ""],
    [
      "a peer is read before there is anybody to answer",
      "this.#receiver !== undefined && this.#answer",
      "this.#answer",
    ],
  ]),
  ...faultsOf("src/firewall/ways/relayed.ts", ["tests/firewall/ways/relayed_test.ts", ...BY_HAND], [
    ["an endpoint is to blame for a standstill", "    this.#askedMs += byMs;\n", ""],
    ["an endpoint has to read in a standstill", "    this.#writtenMs += byMs;\n", ""],
    ["marks hold nobody", "return this.#marksSent - this.#marksBack >= MAX_MARKS;", "return false;"],
    [
      "a client knows how marks begin",
      "const PEER_PING_PAYLOAD = crypto.getRandomValues(new Uint8Array(8));",
      "const PEER_PING_PAYLOAD = MARK;",
    ],
    [
      "marks that can be forged",
      "const MARK = crypto.getRandomValues(new Uint8Array(8))",
      "const MARK = new Uint8Array(8)",
    ],
    [
      "a mark that comes back counts for none",
      "    this.#marksBack = Math.min(mark, this.#marksSent);\n",
      "",
    ],
    ["a mark that was never sent", "Math.min(mark, this.#marksSent)", "mark"],
    [
      "a mark that comes back twice",
      "if (frames.mark > this.#marksBack) this.#markReturned(frames.mark);",
      "if (frames.mark > 0) this.#markReturned(this.#marksBack + 1);",
    ],
    ["no marks for many bytes", "this.#unmarkedBytes >= MARK_EVERY_BYTES || ", ""],
    [
      "no marks for many frames",
      " || this.#unmarkedFrames >= MARK_EVERY_FRAMES) {\n        this.#sendMark",
      ") {\n        this.#sendMark",
    ],
    [
      "a Close overtakes an answer",
      "    this.#sendMark();\n    return new Promise((resolve) => this.#onAnswered = resolve);",
      "    return undefined;",
    ],
    ["messages after a Close of ours", " && !this.#isTold && !this.#isDiscarding) {", " && !this.#isTold) {"],
    [
      "the endpoint is read although the peer reads nothing",
      "while (this.#outbox.isWriting) await",
      "while (false) await",
    ],
    ["the next bytes over those that are being written", "return !this.#writer.isBusy && (", "return ("],
    ["bytes are read over those that are not looked at", "if (this.#mustCarry) this.#carry(buffer);", ""],
    ["a peer is read on though marks hold it", "!this.#isDone || this.#isBehind || ", "!this.#isDone || "],
    ["bytes that were read behind are not looked at", "    this.#isDone = false;\n", ""],
    [
      "messages after the endpoint was told",
      "    this.#writer.write(encodeClose(close, newMaskKey()));\n    this.#isTold = true;",
      "    this.#writer.write(encodeClose(close, newMaskKey()));",
    ],
    ["an endpoint that ends its stream is not noticed", "    else this.#fail(reason);\n", ""],
    [
      "an endpoint that does not end is not cut",
      "  cut(): void {\n    closeQuietly(this.#inner);",
      "  cut(): void {",
    ],
    ["a Close waits for an endpoint that is gone", "    this.#onAnswered?.();\n    if", "    if"],
    ["keys that can be guessed", "return crypto.getRandomValues(keys)[0]!;", "return keys[0]!;"],
  ]),
  ...faultsOf("src/firewall/ways/endpoint_writer.ts", ["tests/firewall/ways/relayed_test.ts"], [
    [
      "the rest of a write is lost",
      "if (size < current.length) return this.#begin(current.subarray(size));",
      "",
    ],
    ["what waits is lost", "      this.#next.push(bytes);\n", ""],
    ["two writes at a time", "if (this.isBusy) {", "if (false) {"],
  ]),
  ...faultsOf("src/firewall/ways/endpoint_frames.ts", ["tests/firewall/ways/endpoint_frames_test.ts"], [
    [
      "marks reach the peer",
      "header.opcode === OPCODE.pong && this.#isMark(bytes, payloadStart, frameEnd)",
      "false",
    ],
    ["any Pong is a mark", "if (bytes[start + i] !== mark[i]) return false;", ""],
    ["a Pong that is longer than a mark", "if (end - start !== mark.length + NUMBER_SIZE) return false;", ""],
    ["half a control frame goes on", "if (frameEnd > end) return end;\n        if", "if"],
    ["messages are not counted", "    this.messages++;\n", ""],
    [
      "fragments are messages",
      "if (header.fin && !this.#finishMessage()) return end;",
      "if (!this.#finishMessage()) return end;",
    ],
    ["a piece at the end is no message", "if (this.#fin && !this.#finishMessage()) {", "if (false) {"],
    [
      "a frame that is not all there is a boundary",
      "    this.boundary = -1;\n",
      "    this.boundary = end;\n",
    ],
    [
      "the number of a mark is not read",
      "this.mark = readNumber(bytes, frameEnd - NUMBER_SIZE);",
      "this.mark++;",
    ],
  ]),
  ...faultsOf("src/firewall/memory_budget.ts", ["tests/firewall/memory_budget_test.ts"], [
    ["all progress since the beginning", "      account.moved = moved;\n", ""],
    ["each sweep counts, however soon", "    if (nowMs - this.#sweptMs < SWEEP_MS) return;\n", ""],
    ["the fixed cost is not counted", "    this.change(fixedBytes);\n", ""],
  ]),
  ...faultsOf("src/endpoints/endpoint.ts", ["tests/endpoints/endpoint_test.ts"], [
    [
      "a handler that throws",
      "    } catch (error) {\n      this.#fail(error);\n    }\n  }\n\n  #fail",
      "    } catch (error) {\n      throw error;\n    }\n  }\n\n  #fail",
    ],
    ["a handler that rejects", "?.catch((error) => this.#fail(error));\n    } catch", ";\n    } catch"],
    ["a handler whose opening rejects", "opening.catch((error) => this.#fail(error)).then(", "opening.then("],
    [
      "messages before the handler has opened",
      "if (opening === undefined) this.#link.attach(this);",
      "this.#link.attach(this);\n      if (opening === undefined) return;",
    ],
    ["connections that have ended are counted", "      this.#sockets.delete(socket);\n", ""],
    [
      "an end without a Close is no 1006",
      "known = received ?? this.#ownClose ?? { code: ABNORMAL_CLOSURE",
      "known = received ?? this.#ownClose ?? { code: 1000",
    ],
    [
      "a stranger on the private socket",
      '    if (link === undefined) return new Response("Not a connection of the firewall\\n", { status: 400 });\n',
      "    if (link === undefined) return new Response(null, { status: 204 });\n",
    ],
    ["it serves again after it was stopped", "    if (this.#stopped !== undefined) return;\n", ""],
    [
      "it does not serve again",
      "    this.#restartTimer = setTimeout(() => this.#restart(reason), RESTART_DELAY_MS);\n",
      "",
    ],
    [
      "a stop that waits for ever",
      "Promise.race([this.#server.shutdown().catch(ignore), tooLate])",
      "Promise.race([this.#server.shutdown().catch(ignore)])",
    ],
  ]),
];
