// Faults of the settings, of their parsers, and of the settings file.

import { faultsOf } from "../../scripts/mutants/mutant.ts";

export const CORE = [
  ...faultsOf("src/core/settings/combinations.ts", [
    "tests/core/settings_test.ts",
    "tests/config/config_file_test.ts",
  ], [
    ["both endpoints left out", "!echo && !secure", "false"],
    ["half of TLS", "(tlsCert === undefined) !== (tlsKey === undefined)", "false"],
    ["client certificates without TLS", "tlsClientCa !== undefined && tlsCert === undefined", "false"],
    ["--proxy-protocol without --trust-proxy", "proxyProtocol && trustProxy.length === 0", "false"],
    ["a chain in text", 'logChain && logFormat !== "json"', "false"],
  ]),
  ...faultsOf("src/core/settings/declared/operation.ts", ["tests/core/settings_test.ts"], [
    ["a quote in --admin-scope", "[\\x21\\x23-\\x5b\\x5d-\\x7e]", "[\\x21-\\x5b\\x5d-\\x7e]"],
    ["a backslash in --admin-scope", "[\\x21\\x23-\\x5b\\x5d-\\x7e]", "[\\x21\\x23-\\x7e]"],
  ]),
  ...faultsOf("src/core/settings/declared/limits.ts", ["tests/core/settings_test.ts"], [
    [
      "any page may connect by default",
      'help: "let the pages of every web site connect",\n    default: false,',
      'help: "let the pages of every web site connect",\n    default: true,',
    ],
  ]),
  ...faultsOf("src/core/settings/settings.ts", [
    "tests/core/settings_test.ts",
    "tests/config/config_file_test.ts",
  ], [
    [
      "a variable wins over its flag",
      "const found = findSetting(name, flags.get(name), env, file);",
      "const found = findSetting(name, undefined, env, file);",
    ],
    ["mistakes are not told", "if (mistakes[0] !== undefined) throw", "if (false) throw"],
  ]),
  ...faultsOf("src/core/settings/setting_types.ts", [
    "tests/core/settings_test.ts",
    "tests/core/setting_types_test.ts",
  ], [
    ["the least value", "value >= least && value <= most", "value <= most"],
    ["the largest value", "value >= least && value <= most", "value >= least"],
    ["a password in a message", "stringify(hideCredentials(given))", "stringify(given)"],
    ["a password with an @ in it", 'text.lastIndexOf("@")', 'text.indexOf("@")'],
    [
      "rates without a unit",
      'given.endsWith("/s") ? parse(given.slice(0, -2)) : undefined',
      "parse(given.slice(0, -2))",
    ],
    ["numbers with signs and points", "/^\\d+$/.test(given) && ", ""],
    ["control characters in text", "/^[^\\x00-\\x1f\\x7f-\\x9f]+$/", "/^[^\\x00-\\x08]+$/"],
    ["any word for a switch", 'given === "false" ? false : undefined', "false"],
  ]),
  ...faultsOf("src/core/size.ts", ["tests/core/size_test.ts"], [
    ["kB is KiB", "kB: 1e3", "kB: 1024"],
    ["sizes that a number can't hold", "Number.isSafeInteger(bytes) ? bytes : undefined", "bytes"],
  ]),
  ...faultsOf("src/core/duration.ts", ["tests/core/duration_test.ts"], [
    ["no duration at all", 'counts === null || text === ""', "counts === null"],
    ["durations that a number can't hold", "Number.isSafeInteger(ms) ? ms : undefined", "ms"],
  ]),
  ...faultsOf("src/core/ip_address.ts", ["tests/core/ip_address_test.ts"], [
    ["leading zeros", "25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)", "25[0-5]|2[0-4]\\d|1\\d\\d|0*[1-9]?\\d)"],
    ["numbers above 255", "25[0-5]", "25[0-9]"],
    ["a gap for no group", "missing < 1", "missing < 0"],
    [
      "two gaps",
      " || rest.length > 0) return undefined;\n  const missing",
      ") return undefined;\n  const missing",
    ],
    ["groups of five digits", "{1,4}$/i", "{1,5}$/i"],
  ]),
  ...faultsOf("src/core/network_text.ts", [
    "tests/core/setting_types_test.ts",
    "tests/core/settings_test.ts",
    "tests/firewall/admission/network_set_test.ts",
  ], [
    ["prefixes of IPv4 above 32", "family === 4 ? 32 : 128", "128"],
    ["zones", ' || address.includes("%")', ""],
    ["the admin listener off loopback", "(127\\.[\\d.]+)", "(\\d+\\.[\\d.]+)"],
  ]),
  ...faultsOf("src/core/key_set_url.ts", ["tests/core/key_set_url_test.ts"], [
    ["keys over plain http", '(protocol === "http:" && isLoopback(hostname))', 'protocol === "http:"'],
    ["credentials", 'username !== "" || password !== "" || ', ""],
    ["names that begin like loopback", "/^127\\.\\d+\\.\\d+\\.\\d+$/", "/^127\\./"],
  ]),
  ...faultsOf("src/config/config_file.ts", ["tests/config/config_file_test.ts"], [
    ["files without an end", "bytes.length > MAX_CONFIG_SIZE_BYTES", "false"],
    ["a key twice", "if (firstLine !== undefined) {", "if (false) {"],
    ["bytes that are no UTF-8", "if (!isUtf8(bytes)) {", "if (false) {"],
    ["a number as text", "typeof content !== type && !isWord", "false"],
    ["unknown keys", "if (name === undefined) {", "if (name === undefined) { continue;"],
  ]),
  ...faultsOf("src/core/regular_file.ts", ["tests/core/regular_file_test.ts"], [
    ["a pipe is opened", 'if (!info.isFile) throw new UnreadableFile("it is not a regular file");', ""],
    ["a file without a size has none", "if (bytes.length > maxBytes) throw", "if (false) throw"],
  ]),
  ...faultsOf("src/core/private_folder.ts", ["tests/core/private_folder_test.ts"], [
    ["a folder that others can enter", "(info.mode! & 0o077) !== 0", "false"],
    ["a folder of somebody else", "info.uid !== user.uid", "false"],
    ["a link to a folder", "!info.isDirectory", "false"],
    [
      "a folder above that others can write to",
      "above !== undefined && !isSafeAbove(above, user, root)) {\n      return",
      "false) {\n      return",
    ],
    [
      "a link that others can put in place of another",
      "const link = findForeignLink(path, user, root);",
      "const link = undefined as string | undefined;",
    ],
    ["a link to a link", 'names.unshift(...target.split("/"));', ""],
    ["a group of many", "gid === user.gid && user.gid === user.uid", "true"],
    ["a folder above of somebody else", "uid !== 0 && uid !== root && uid !== user.uid", "false"],
  ]),
  ...faultsOf("src/core/runtime_dir.ts", ["tests/cli/surroundings_test.ts"], [
    ["two servers in one folder", "!file.tryLockSync(true) || ", ""],
    ["an open runtime folder", "if (exposure !== undefined) throw", "if (false) throw"],
    [
      "a socket that somebody answers on",
      "  throw unusable(folder, `another server",
      "  if (false) throw unusable(folder, `another server",
    ],
  ]),
  ...faultsOf("src/app/program.ts", ["tests/cli/surroundings_test.ts"], [
    ["faults are not contained", "  containErrors(openedLog, log);\n", ""],
    ["SIGHUP does not open the log again", "    openedLog.reopen();\n", ""],
    ["the debugger stays open", "  endWhenDebugged(openedLog);\n", ""],
  ]),
  ...faultsOf("src/app/app.ts", ["tests/cli/surroundings_test.ts"], [
    [
      "SIGHUP does not read keys",
      "const reason = await this.#judges.keys.reload();",
      "const reason = undefined;",
    ],
    ["readiness does not look at the sockets", "!runtimeDir.holds(socket)", "false"],
  ]),
];
