// Faults of the tools: where they may connect, what they may cost, and how they treat a stranger's bytes.

import { faultsOf } from "../../scripts/mutants/mutant.ts";

export const TOOLS = [
  ...faultsOf("src/tools/target.ts", ["tests/tools/raw_client_test.ts"], [
    ["a password in a URL", ' || password !== ""', ""],
    ["another protocol", "!/^wss?:\\/\\/[!-~]+$/.test(text) || ", ""],
  ]),
  ...faultsOf("src/tools/target.ts", [
    "tests/tools/raw_client_test.ts",
    "tests/tools/misbehave_test.ts",
  ], [
    [
      "an address that only begins like loopback",
      "127\\.\\d+\\.\\d+\\.\\d+$/i",
      "127\\.\\d+\\.\\d+\\.\\d+/i",
    ],
  ]),
  ...faultsOf("src/cli/commands/selftest_command.ts", ["tests/cli/selftest_command_test.ts"], [
    ["attacks any machine", "authorised === undefined && !addresses.every(isLoopback)", "false"],
    ["another host is repeated", "authorised !== undefined && authorised !== target.hostname", "false"],
  ]),
  ...faultsOf("src/cli/failure.ts", ["tests/cli/run_test.ts"], [
    [
      "a token in a wrong place is printed",
      "hideTokens(hideCredentials(message))",
      "hideCredentials(message)",
    ],
    ["a password in a wrong place is printed", "hideTokens(hideCredentials(message))", "hideTokens(message)"],
  ]),
  ...faultsOf("src/cli/commands/connect_command.ts", ["tests/cli/connect_test.ts"], [
    ["a token leaves this machine", "if (await isThisMachine(target.hostname)) return;", "return;"],
  ]),
  ...faultsOf("src/tools/raw_client.ts", ["tests/tools/raw_client_test.ts"], [
    ["a frame of any size", "if (size > this.#maxPayload) return", "if (false) return"],
    ["a head of any size", "this.#end - this.#start > MAX_HEAD_SIZE || ", ""],
  ]),
  ...faultsOf("src/tools/connect/web_socket.ts", ["tests/cli/connect_test.ts"], [
    ["masked frames", 'if (masked) return "a frame is masked";', ""],
    ["reserved bits", 'if (rsv !== 0) return "a reserved bit is set";', ""],
    ["a message of any size", "this.#size + payload.length > this.#maxMessageSize", "false"],
    ["a text of any bytes", "text === undefined ? await this.#fail(1007", "false ? await this.#fail(1007"],
    ["any Close code", "payload.length > 0 && !isValidCloseCode(closeCode)", "false"],
    ["a body of any size", "Math.min(Number.isSafeInteger(length) ? length : BODY_SIZE, BODY_SIZE)", "1e9"],
    [
      "a Close that is never answered",
      "this.#closeTimer = setTimeout(() => this.#client.close(), this.#timeoutMs);",
      "",
    ],
  ]),
  ...faultsOf("src/tools/client_handshake.ts", ["tests/cli/connect_test.ts"], [
    ["the accept", 'one("sec-websocket-accept") !== await acceptFor(KEY)', "false"],
    ["the Upgrade", 'one("upgrade")?.toLowerCase() !== "websocket"', "false"],
    ["extensions", 'headers.has("sec-websocket-extensions")', "false"],
    ["subprotocols", "protocol !== undefined && !offered.includes(protocol)", "false"],
  ]),
  ...faultsOf("src/tools/misbehave/server.ts", ["tests/tools/misbehave_test.ts"], [
    ["listens for others", "if (!isLoopback(options.host)) {", "if (false) {"],
    ["any number of connections", "this.#open.size >= this.#options.maxConnections", "false"],
    ["a connection of any length", "socket.destroy(), this.#options.maxLifetimeMs", "{}, 0"],
    ["pages of other machines", "return isOwn ? undefined : {", "return true ? undefined : {"],
    ["any name", "if (!isOwnName(host)) {", "if (false) {"],
    ["keys of any number", "this.#failed.size", "0"],
  ]),
  ...faultsOf("src/tools/misbehave/connection_under_test.ts", ["tests/tools/misbehave_test.ts"], [
    ["any number of bytes", "if (this.#sent > this.#options.maxSent)", "if (false)"],
    ["a message of any size", "size > MAX_MESSAGE || ", ""],
    ["any number of fragments", " || parts.length > MAX_FRAGMENTS", ""],
  ]),
  ...faultsOf("src/tools/misbehave/path.ts", ["tests/tools/misbehave_test.ts"], [
    ["a path of any number of parts", "if (steps.length === MAX_STEPS) {", "if (false) {"],
    ["a key of any length", "if (key.length > MAX_KEY_LENGTH)", "if (false)"],
    ["any number of failures", " || failures > MAX_FAILURES", ""],
  ]),
];
