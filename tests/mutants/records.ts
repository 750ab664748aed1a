// Faults of the log, its chain and its file.

import { faultsOf } from "../../scripts/mutants/mutant.ts";

export const RECORDS = [
  ...faultsOf("src/telemetry/line.ts", ["tests/telemetry/line_test.ts"], [
    ["what a peer chose is painted", "CODES.has(key) ? paint(shown, CYAN) : shown", "paint(shown, CYAN)"],
    ["a text that repeats its event", "if (saysMore(event, text)) line", "line"],
    [
      "a line break in a value",
      'const UNSAFE = /["\\\\\\p{C}\\p{Zl}\\p{Zp}]/gu;',
      'const UNSAFE = /["\\\\\\p{Zl}\\p{Zp}]/gu;',
    ],
    [
      "a quote in a value",
      'const UNSAFE = /["\\\\\\p{C}\\p{Zl}\\p{Zp}]/gu;',
      "const UNSAFE = /[\\\\\\p{C}\\p{Zl}\\p{Zp}]/gu;",
    ],
    ["values of any length", "whole.length > maxLength", "false"],
    ["tokens", "dots >= 2 || ", ""],
    ["tokens that are cut", " || (isCut && end === text.length)", ""],
    ["blanks without quotes", "!isCut && BARE.test(text)", "!isCut"],
  ]),
  ...faultsOf("src/telemetry/record_brake.ts", ["tests/telemetry/record_brake_test.ts"], [
    ["records without end", "kind.logged < (declared.mostAtOnce ?? MOST_AT_ONCE)", "true"],
    ["what was left out is not told", "if (leftOut > 0) this.#log", "if (false) this.#log"],
    ["kinds without end", "!kinds.has(key) && kinds.size >= MAX_KINDS", "false"],
    ["each address of a network is a client", "this.#clientOf(peer)", "peer"],
    ["what a peer chooses makes another kind", "reason, method].join", "reason, method, fields.detail].join"],
    ["who has stopped is remembered", "else kinds.delete(key);", ""],
    [
      "one event hides the others",
      "let kinds = this.#kinds.get(event);",
      "let [kinds] = this.#kinds.values();",
    ],
  ]),
  ...faultsOf("src/telemetry/peer_events.ts", ["tests/telemetry/record_brake_test.ts"], [
    [
      "refusals are recorded without limit",
      'isBraked: true,\n    // Nothing is cheaper for a stranger to cause.\n    mostAtOnce: 1,\n    cause:\n      "the client may not connect',
      'cause:\n      "the client may not connect',
    ],
    [
      "failures of upstreams are recorded without limit",
      'isBraked: true,\n    cause: "nobody listens there',
      'cause: "nobody listens there',
    ],
  ]),
  ...faultsOf("src/telemetry/peer_events.ts", ["tests/attacks/handshake_test.ts"], [
    ["five records of each refused client at once", "    mostAtOnce: 1,\n", ""],
  ]),
  ...faultsOf("src/telemetry/server_events.ts", [
    "tests/admin/events_test.ts",
    "tests/admin/metrics_server_test.ts",
  ], [
    [
      "refusals of administrators are recorded without limit",
      'isBraked: true,\n    cause: "no valid token of an administrator',
      'cause: "no valid token of an administrator',
    ],
    [
      "refusals of metrics are recorded as fast as strangers cause them",
      'isBraked: true,\n    cause: "a wrong token, or none"',
      'cause: "a wrong token, or none"',
    ],
  ]),
  ...faultsOf("src/admin/request_handler.ts", ["tests/admin/events_test.ts"], [
    ["faults of requests are nobody's", "this.#containment.record(error);", "void error;"],
  ]),
  ...faultsOf("src/telemetry/chain.ts", [
    "tests/telemetry/chain_test.ts",
    "tests/telemetry/chain_check_test.ts",
  ], [
    [
      "a torn line covers nothing before it",
      'if (readPrev(line) === undefined) hash.update(this.prev).update("\\n");',
      "",
    ],
    [
      "a record is not covered",
      'this.prev = hash.update(line).digest("hex");',
      'this.prev = hash.digest("hex");',
    ],
  ]),
  ...faultsOf("src/telemetry/file_sink.ts", [
    "tests/telemetry/file_sink_test.ts",
    "tests/telemetry/chain_test.ts",
    "tests/telemetry/log_test.ts",
  ], [
    [
      "reopen",
      '    try {\n      this.#open();\n    } catch (error) {\n      this.#reportFailure(error, "rotate");\n    }\n  }\n\n  close',
      "  }\n\n  close",
    ],
    ["the mode of the file", "mode: 0o640", "mode: 0o666"],
    ["rotation", "records[0]!.length > room && this.#rotate()", "false"],
    [
      "what is held back is never written",
      "this.#timer = setTimeout(() => this.flush(), Math.max(FLUSH_AFTER_MS, restMs));",
      "",
    ],
    ["loss is not told", "if (this.#lost > 0) lines.unshift", "if (false) lines.unshift"],
    [
      "a line after a torn one",
      "concat(this.#torn ? [Uint8Array.of(NEWLINE), ...records] : records)",
      "concat(records)",
    ],
    ["a file that was moved away", "if (!this.#isInPlace()) this.#open();", ""],
    [
      "a buffer without an end",
      "if (this.#bufferedBytes >= BUFFER_SIZE_BYTES && restMs <= 0) return this.flush();",
      "",
    ],
    ["a slow disk holds up the loop", "&& restMs <= 0", ""],
    ["a log file that is a pipe", "  refuseBlocking(path);\n", ""],
    ["close does not flush", "  close(): void {\n    this.flush();", "  close(): void {"],
  ]),
  ...faultsOf("src/telemetry/log.ts", ["tests/telemetry/log_test.ts"], [
    ["errors are not in the file", "if (isKept) attempt", "if (false) attempt"],
    ["the level of the terminal", ">= lowest", ">= 0"],
    ["a fault of the log is told nowhere", "      contain(fault);\n", ""],
    [
      "a write that fails ends the process",
      "attempt(() => writeTerminal(formatShown(event, fields, timeMs)))",
      "writeTerminal(formatShown(event, fields, timeMs))",
    ],
  ]),
  ...faultsOf("src/telemetry/terminal.ts", ["tests/telemetry/terminal_test.ts"], [
    ["lines without end for a reader that sleeps", "this.#waiting + line.length > MAX_WAITING", "false"],
    ["loss at the terminal is not told", "if (told > 0) lines.push", "if (false) lines.push"],
    ["the end waits for ever", "await Promise.race([this.#pumping, tooLate]);", "await this.#pumping;"],
  ]),
  ...faultsOf("src/telemetry/containment.ts", ["tests/telemetry/containment_test.ts"], [
    ["a fault fills the disk", "nowMs - fault.toldMs < QUIET_MS", "false"],
    ["faults are told apart without end", "|| this.#faults.size < MAX_FAULTS", "|| true"],
  ]),
  ...faultsOf("src/telemetry/rotation.ts", ["tests/telemetry/file_sink_test.ts"], [
    ["files beyond the most", "free < maxFiles && ", ""],
  ]),
  ...faultsOf("src/telemetry/histogram.ts", ["tests/telemetry/histogram_test.ts"], [
    ["the upper bound", "value > this.bounds[index]!", "value >= this.bounds[index]!"],
  ]),
  ...faultsOf("src/telemetry/chain_check.ts", ["tests/telemetry/chain_check_test.ts"], [
    [
      "what was changed",
      "if (line.prev !== undefined && line.prev !== chain.prev) return describeBreak(lines, index);",
      "",
    ],
    ["what was cut off at the end", "if (last.prev === undefined) return", "if (false) return"],
    ["a log without its beginning", "isFromStart: first.prev === GENESIS", "isFromStart: true"],
  ]),
  ...faultsOf("src/core/visible_text.ts", ["tests/cli/connect_test.ts"], [
    ["what paints a terminal", "[\\p{C}\\p{Zl}\\p{Zp}]", "[\\p{Zl}\\p{Zp}]"],
  ]),
  ...faultsOf("src/process/stray_errors.ts", ["tests/cli/containment_test.ts"], [
    [
      "a stray error ends the process",
      "event.preventDefault();\n    record(event.error);",
      "record(event.error);",
    ],
    [
      "a stray rejection ends the process",
      "event.preventDefault();\n    record(event.reason);",
      "record(event.reason);",
    ],
  ]),
];
