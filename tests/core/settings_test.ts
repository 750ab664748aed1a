// The settings of the server: defaults, precedence, names, and the messages about wrong ones.

import assert from "node:assert/strict";
import { UsageError } from "../../src/core/errors.ts";
import { type Given, type GivenValue, hideCredentials } from "../../src/core/settings/setting_types.ts";
import { SETTING_NAMES, type SettingName, type Settings } from "../../src/core/settings/declarations.ts";
import {
  checkSettings,
  declarationOf,
  type FileSettings,
  findSetting,
  flagOf,
  parseSetting,
  parseSettings,
  variableOf,
} from "../../src/core/settings/settings.ts";

function parse(
  given: Partial<Record<SettingName, GivenValue>> = {},
  variables: Readonly<Record<string, string>> = {},
): Settings {
  const entries = Object.entries(given) as [SettingName, GivenValue][];
  return parseSettings(new Map(entries), (name) => variables[name]);
}

function assertRefused(message: string, ...given: Parameters<typeof parse>): void {
  assert.throws(() => parse(...given), new UsageError(message));
}

Deno.test("no rule of a setting looks like a URL with a password, which is hidden in messages", () => {
  for (const name of SETTING_NAMES) {
    const setting = declarationOf(name);
    if ("rule" in setting) assert.equal(hideCredentials(setting.rule), setting.rule, name);
  }
});

Deno.test("every setting has its documented default", () => {
  assert.deepEqual(parse(), {
    host: "127.0.0.1",
    echoPort: 8765,
    securePort: 8888,
    echo: true,
    secure: true,
    echoPrefix: "Server received: ",
    upstream: [],
    upstreamAuth: "required",
    upstreamPath: [],
    upstreamTimeout: 5000,
    upstreamMaxConnections: Infinity,
    upstreamMaxMessageSize: 16 * 1_048_576,
    upstreamHost: undefined,
    upstreamClaim: [],
    upstreamClaimsHeader: undefined,
    upstreamForwardToken: false,
    upstreamCa: undefined,
    upstreamServerName: undefined,
    upstreamCert: undefined,
    upstreamKey: undefined,
    keyFile: "wsward.key",
    keyEncoding: "base64",
    jwksUrl: undefined,
    issuer: undefined,
    audience: [],
    tokenType: undefined,
    maxTokenAge: Infinity,
    clockTolerance: 5000,
    authTimeout: 10_000,
    insecureTokenInQuery: false,
    tokenCookie: undefined,
    expiryWarning: 30_000,
    maxSessionsPerUser: 10,
    onSessionLimit: "refuse-newest",
    replayCheck: false,
    stateFile: undefined,
    maxMessageSize: 1_048_576,
    maxRpcMessageSize: 65_536,
    maxFragments: 1024,
    maxConnections: 10_000,
    maxConnectionsPerIp: 100,
    handshakeRate: 50,
    messageRate: 1000,
    messageTimeout: 60_000,
    byteRate: 16 * 1_048_576,
    onRateLimit: "throttle",
    maxBufferedMemory: 512 * 1_048_576,
    handshakeTimeout: 10_000,
    closeTimeout: 5000,
    idleTimeout: 600_000,
    pingInterval: 20_000,
    pingTimeout: 20_000,
    sendTimeout: 30_000,
    maxLifetime: Infinity,
    drainTimeout: 10_000,
    allowOrigin: [],
    insecureAllowAnyOrigin: false,
    insecureAllowNullOrigin: false,
    allowHost: [],
    allowIp: [],
    denyIp: [],
    rulesFile: undefined,
    banAfter: 20,
    banWindow: 60_000,
    banTime: 600_000,
    banLoopback: false,
    trustProxy: [],
    proxyProtocol: false,
    firewallDryRun: false,
    tlsCert: undefined,
    tlsKey: undefined,
    tlsClientCa: undefined,
    adminListen: undefined,
    adminScope: "wsward:admin",
    metricsListen: undefined,
    metricsTokenFile: undefined,
    healthPath: undefined,
    logFile: "websocket_errors.log",
    logLevel: "info",
    logFormat: "text",
    readyLines: "auto",
    logMaxSize: 10 * 1_048_576,
    logMaxFiles: 5,
    logChain: false,
    redis: undefined,
    redisPrefix: "wsward",
    redisTimeout: 250,
    redisCa: undefined,
    nodeName: undefined,
    onRedisLoss: "local",
    reusePort: false,
    runtimeDir: undefined,
  });
});

Deno.test("flags and variables are named after the setting", () => {
  assert.equal(flagOf("maxMessageSize"), "--max-message-size");
  assert.equal(flagOf("echo"), "--no-echo");
  assert.equal(variableOf("maxMessageSize"), "WSWARD_MAX_MESSAGE_SIZE");
  assert.equal(variableOf("echo"), "WSWARD_ECHO");
});

Deno.test("no two settings share a flag or a variable", () => {
  assert.equal(new Set(SETTING_NAMES.map(flagOf)).size, SETTING_NAMES.length);
  assert.equal(new Set(SETTING_NAMES.map(variableOf)).size, SETTING_NAMES.length);
});

Deno.test("the settings of a group stand together", () => {
  const groups = SETTING_NAMES.map((name) => declarationOf(name).group);
  const runs = groups.filter((group, index) => group !== groups[index - 1]);
  assert.deepEqual(runs, [...new Set(groups)]);
});

Deno.test("a flag wins over the variable, and the variable over the default", () => {
  const variables = { WSWARD_ECHO_PORT: "2", WSWARD_ECHO: "true", WSWARD_LOG_LEVEL: "debug" };
  assert.equal(parse({ echoPort: "1" }, variables).echoPort, 1);
  assert.equal(parse({}, variables).echoPort, 2);
  assert.equal(parse({ echo: false }, variables).echo, false);
  assert.equal(parse({}, variables).logLevel, "debug");
});

Deno.test("a flag that is given hides a wrong variable", () => {
  assert.equal(parse({ echoPort: "1" }, { WSWARD_ECHO_PORT: "x" }).echoPort, 1);
});

Deno.test("a variable that is set to nothing counts as given", () => {
  assert.equal(parse({}, { WSWARD_ECHO_PREFIX: "" }).echoPrefix, "");
  assertRefused('Cannot use WSWARD_ECHO_PORT "": it must be from 0 to 65535', {}, { WSWARD_ECHO_PORT: "" });
});

Deno.test("a wrong value is refused with the flag or the variable, the value and the rule", () => {
  assertRefused('Cannot use --max-message-size "0": it must be from 1B to 64MiB', { maxMessageSize: "0" });
  assertRefused(
    'Cannot use WSWARD_MAX_MESSAGE_SIZE "0": it must be from 1B to 64MiB',
    {},
    { WSWARD_MAX_MESSAGE_SIZE: "0" },
  );
  assertRefused('Cannot use --auth-timeout "99ms": it must be from 100ms to 10m', { authTimeout: "99ms" });
  assertRefused('Cannot use --log-level "loud": it must be one of debug, info, warning, error, fatal', {
    logLevel: "loud",
  });
  assertRefused('Cannot use WSWARD_ECHO "no": it must be true or false', {}, { WSWARD_ECHO: "no" });
});

Deno.test("the smallest and the largest value of a range can be used", () => {
  assert.equal(parse({ maxMessageSize: "1B" }).maxMessageSize, 1);
  assert.equal(parse({ maxMessageSize: "64MiB" }).maxMessageSize, 67_108_864);
  assert.equal(parse({ authTimeout: "100ms" }).authTimeout, 100);
  assert.equal(parse({ authTimeout: "10m" }).authTimeout, 600_000);
});

Deno.test("one endpoint can be left out, both cannot", () => {
  assert.equal(parse({ echo: false }).secure, true);
  assert.equal(parse({ secure: false }).echo, true);
  assertRefused("Cannot leave out both endpoints: nothing is left to serve", { echo: false }, {
    WSWARD_SECURE: "false",
  });
});

Deno.test("one setting can be read alone, whatever the others are", () => {
  const variables: Readonly<Record<string, string>> = { WSWARD_KEY_FILE: "other.key", WSWARD_ECHO_PORT: "x" };
  assert.equal(parseSetting("keyFile", undefined, (name) => variables[name]), "other.key");
});

Deno.test("a log can be chained as JSON only", () => {
  assertRefused("Cannot use --log-chain with text: it needs --log-format json", { logChain: true });
  assert.equal(parse({ logChain: true, logFormat: "json" }).logChain, true);
});

Deno.test("what needs another setting is refused without it", () => {
  const alone = "Cannot use --proxy-protocol alone: --trust-proxy says whose preamble is trusted";
  assertRefused(alone, { proxyProtocol: true });
  assertRefused(alone, { proxyProtocol: true }, { WSWARD_TRUST_PROXY: "" });
  assert.equal(parse({ proxyProtocol: true, trustProxy: ["192.0.2.1"] }).proxyProtocol, true);
  const client = { tlsClientCa: "ca.pem" };
  assertRefused("Cannot use --tls-client-ca without TLS: it needs --tls-cert and --tls-key", client);
  assert.equal(parse({ ...client, tlsCert: "c", tlsKey: "k" }).tlsClientCa, "ca.pem");
});

Deno.test("administrators are listened to on loopback only", () => {
  for (const address of ["127.0.0.1:0", "127.9.9.9:9090", "[::1]:65535"]) {
    assert.equal(parse({ adminListen: address }).adminListen, address);
  }
  for (
    const address of [
      "0.0.0.0:9090",
      "192.0.2.1:1",
      "[::]:1",
      "localhost:1",
      "127.0.0.1",
      "127.1:1",
      "[::1]:65536",
    ]
  ) {
    assert.throws(() => parse({ adminListen: address }), /^UsageError: Cannot use --admin-listen /, address);
  }
});

Deno.test("metrics are shown on an IP address and a port, with a token only where there are metrics", () => {
  for (const address of ["0.0.0.0:0", "127.0.0.1:9091", "[::]:65535", "[2001:db8::1]:1"]) {
    assert.equal(parse({ metricsListen: address }).metricsListen, address);
  }
  for (
    const address of ["9091", ":9091", "localhost:1", "0.0.0.0", "0.0.0:1", "::1:1", "[::]:65536", "[1]:1"]
  ) {
    assert.throws(
      () => parse({ metricsListen: address }),
      /^UsageError: Cannot use --metrics-listen /,
      address,
    );
  }
  assertRefused("Cannot use --metrics-token-file alone: --metrics-listen says where the metrics are", {
    metricsTokenFile: "token",
  });
});

Deno.test("a health path is a path without a query", () => {
  for (const path of ["/", "/healthz", "/a/b-c.d~e", "/%41", `/${"a".repeat(255)}`]) {
    assert.equal(parse({ healthPath: path }).healthPath, path);
  }
  for (const path of ["", "healthz", "/a?b", "/a#b", "/a b", "/%4", "/\u00e4", "*", `/${"a".repeat(256)}`]) {
    assert.throws(() => parse({ healthPath: path }), /^UsageError: Cannot use --health-path /, path);
  }
});

// It stands in quotes in a header.
Deno.test("the scope of administrators is one word that needs no escaping in quotes", () => {
  for (const scope of ["a", "wsward:admin", "!#[]^~", "https://example.com/admin"]) {
    assert.equal(parse({ adminScope: scope }).adminScope, scope);
  }
  for (const scope of ["", 'a"b', '"', "a\\b", "a b", " a", "a\t", "a\r\nb", "\x7f", "\u00e9"]) {
    assertRefused(
      `Cannot use --admin-scope ${
        JSON.stringify(scope)
      }: it must be a word of ASCII without quotes, spaces or backslashes`,
      { adminScope: scope },
    );
  }
});

/** A file that gives `values`, each in the line of its place in the list. */
function fileOf(
  values: Partial<Record<SettingName, GivenValue>>,
  unknown: readonly SettingName[] = [],
): FileSettings {
  const entries = Object.entries(values) as [SettingName, GivenValue][];
  const given = entries.map(([name, value], index): [SettingName, Given] => [
    name,
    { source: "file", label: `a.toml:${index + 1}`, value },
  ]);
  return { given: new Map(given), unknown: new Set(unknown) };
}

// Of each kind: what the file, the variable and the flag say, and what it is without them.
const PRECEDENCE: readonly (readonly [
  name: SettingName,
  file: readonly [GivenValue, unknown],
  variable: readonly [string, unknown],
  flag: readonly [GivenValue, unknown],
  byDefault: unknown,
])[] = [
  ["echoPort", ["1", 1], ["2", 2], ["3", 3], 8765],
  ["maxFragments", ["unlimited", Infinity], ["2", 2], ["3", 3], 1024],
  ["banTime", ["1m", 60_000], ["2m", 120_000], ["3m", 180_000], 600_000],
  ["logMaxSize", ["1MiB", 1_048_576], ["2MiB", 2_097_152], ["3MiB", 3_145_728], 10_485_760],
  ["handshakeRate", ["1/s", 1], ["2/s", 2], ["3/s", 3], 50],
  ["byteRate", ["1KiB/s", 1024], ["2KiB/s", 2048], ["3KiB/s", 3072], 16_777_216],
  ["onRateLimit", ["close", "close"], ["throttle", "throttle"], ["close", "close"], "throttle"],
  ["echoPrefix", ["", ""], ["b", "b"], ["c", "c"], "Server received: "],
  ["keyFile", ["a", "a"], ["b", "b"], ["c", "c"], "wsward.key"],
  ["issuer", ["a", "a"], ["b", "b"], ["c", "c"], undefined],
  ["stateFile", ["a", "a"], ["b", "b"], ["c", "c"], undefined],
  ["secure", [false, false], ["true", true], [false, false], true],
  ["replayCheck", [true, true], ["false", false], [true, true], false],
  ["audience", [["a", "b"], ["a", "b"]], ["c,d", ["c", "d"]], [["e"], ["e"]], []],
  ["allowIp", [[], []], ["::1", ["::1"]], [["::2"], ["::2"]], []],
];

for (const [name, file, variable, flag, byDefault] of PRECEDENCE) {
  Deno.test(`${flagOf(name)}: a flag wins over the variable, that over the file, and that over the default`, () => {
    const fromFile = fileOf({ [name]: file[0] });
    const set = (wanted: string) => wanted === variableOf(name) ? variable[0] : undefined;
    const unset = () => undefined;
    const cases = [
      [flag[0], set, fromFile, flag[1], "flag", flagOf(name)],
      [flag[0], unset, fromFile, flag[1], "flag", flagOf(name)],
      [undefined, set, fromFile, variable[1], "environment", variableOf(name)],
      [undefined, unset, fromFile, file[1], "file", "a.toml:1"],
      [undefined, unset, fileOf({}), byDefault, undefined, undefined],
      [undefined, unset, undefined, byDefault, undefined, undefined],
    ] as const;
    for (const [given, env, from, value, source, label] of cases) {
      assert.deepEqual(parseSetting(name, given, env, from), value);
      const found = findSetting(name, given, env, from);
      assert.deepEqual([found?.source, found?.label], [source, label]);
      const flags = new Map(given === undefined ? [] : [[name, given]]);
      assert.deepEqual(parseSettings(flags, env, from)[name], value);
    }
  });
}

function mistakesIn(
  given: Partial<Record<SettingName, GivenValue>>,
  variables: Readonly<Record<string, string>>,
  file?: FileSettings,
): readonly string[] {
  const flags = new Map(Object.entries(given) as [SettingName, GivenValue][]);
  return checkSettings(flags, (name) => variables[name], file).mistakes;
}

Deno.test("every mistake in flags and variables is told, and then what cannot be together", () => {
  assert.deepEqual(
    mistakesIn({ echoPort: "x", logChain: true }, { WSWARD_BAN_TIME: "0s", WSWARD_TLS_KEY: "k" }),
    [
      'Cannot use --echo-port "x": it must be from 0 to 65535',
      'Cannot use WSWARD_BAN_TIME "0s": it must be from 1s to 30d',
      "Cannot use only one of --tls-cert and --tls-key: TLS needs both",
      "Cannot use --log-chain with text: it needs --log-format json",
    ],
  );
});

Deno.test("what cannot be together is told with the line in the file, wherever the rest comes from", () => {
  const tls = "Cannot use only one of --tls-cert and --tls-key: TLS needs both";
  const both = "Cannot leave out both endpoints: nothing is left to serve";
  const file = fileOf({ host: "a", tlsKey: "k", secure: false });
  assert.deepEqual(mistakesIn({ echo: false }, {}, file), [`a.toml:3: ${both}`, `a.toml:2: ${tls}`]);
  assert.deepEqual(mistakesIn({ tlsCert: "c" }, {}, file), []);
  // The file is overruled, so that it is not there that something is wrong.
  assert.deepEqual(mistakesIn({ tlsKey: "k" }, {}, fileOf({ tlsKey: "k" })), [tls]);
  assert.throws(
    () => parseSettings(new Map(), () => undefined, fileOf({ tlsCert: "c" })),
    new UsageError(`a.toml:1: ${tls}`),
  );
});

Deno.test("nothing is said about what a wrong setting might be together with", () => {
  assert.deepEqual(mistakesIn({}, { WSWARD_TLS_CERT: "", WSWARD_TLS_KEY: "k" }), [
    'Cannot use WSWARD_TLS_CERT "": it must be at least one character, and no control characters',
  ]);
  assert.deepEqual(mistakesIn({}, { WSWARD_TLS_KEY: "k" }, fileOf({}, ["tlsCert"])), []);
  // What the file says does not matter where a flag says it.
  assert.equal(
    mistakesIn({ logFormat: "text" }, { WSWARD_LOG_CHAIN: "true" }, fileOf({}, ["logFormat"])).length,
    1,
  );
});

Deno.test("no message shows the name and the password in a URL", () => {
  assertRefused(
    'Cannot use --jwks-url "http://...@example.com/": it must be ' + declarationOf("jwksUrl").rule,
    { jwksUrl: "http://me:se/cr@et@example.com/" },
  );
});
