// Faults of the log, its chain and its file.

import { faultsOf } from "../../scripts/mutants/mutant.ts";

export const RECORDS = [
  ...faultsOf("src/telemetry/line.ts", ["tests/telemetry/line_test.ts"], [
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
    ["values of any length", "whole.length > MAX_VALUE_LENGTH", "false"],
    ["tokens", "dots >= 2 || ", ""],
    ["tokens that are cut", " || (isCut && end === text.length)", ""],
    ["blanks without quotes", "!isCut && BARE.test(text)", "!isCut"],
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
      "this.#timer = setTimeout(() => this.flush(), FLUSH_AFTER_MS);",
      "",
    ],
    ["loss is not told", "if (this.#lost > 0) lines.unshift", "if (false) lines.unshift"],
    [
      "a line after a torn one",
      "concat(this.#torn ? [Uint8Array.of(NEWLINE), ...records] : records)",
      "concat(records)",
    ],
    ["a file that was moved away", "if (!this.#isInPlace()) this.#open();", ""],
    ["a buffer without an end", "if (this.#bufferedBytes >= BUFFER_SIZE_BYTES) return this.flush();", ""],
    ["close does not flush", "  close(): void {\n    this.flush();", "  close(): void {"],
  ]),
  ...faultsOf("src/telemetry/log.ts", ["tests/telemetry/log_test.ts"], [
    ["errors are not in the file", "if (isKept) attempt", "if (false) attempt"],
    ["the level of the terminal", ">= lowest", ">= 0"],
    [
      "a write that fails ends the process",
      "attempt(() => writeTerminal(formatEvent(event, fields, terminalTime(timeMs))))",
      "writeTerminal(formatEvent(event, fields, terminalTime(timeMs)))",
    ],
  ]),
  ...faultsOf("src/telemetry/rotation.ts", ["tests/telemetry/file_sink_test.ts"], [
    ["files beyond the most", "free < maxFiles && ", ""],
  ]),
  ...faultsOf("src/telemetry/histogram.ts", ["tests/telemetry/histogram_test.ts"], [
    ["the upper bound", "value > this.bounds[index]!", "value >= this.bounds[index]!"],
  ]),
];
