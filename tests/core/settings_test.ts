// The settings of the server: defaults, precedence, names and what is said about wrong ones.

import assert from "node:assert/strict";
import { UsageError } from "../../src/core/errors.ts";
import type { GivenValue } from "../../src/core/setting_types.ts";
import {
  declarationOf,
  flagOf,
  parseSetting,
  parseSettings,
  SETTING_NAMES,
  type SettingName,
  type Settings,
  variableOf,
} from "../../src/core/settings.ts";

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

Deno.test("every setting has its documented default", () => {
  assert.deepEqual(parse(), {
    host: "127.0.0.1",
    echoPort: 8765,
    securePort: 8888,
    echo: true,
    secure: true,
    echoPrefix: "Server received: ",
    keyFile: "wsward.key",
    jwksUrl: undefined,
    issuer: undefined,
    audience: [],
    tokenType: undefined,
    maxTokenAge: Infinity,
    clockTolerance: 5000,
    authTimeout: 10_000,
    insecureTokenInQuery: false,
    expiryWarning: 30_000,
    maxSessionsPerUser: 10,
    onSessionLimit: "refuse-newest",
    replayCheck: false,
    stateFile: undefined,
    maxMessageSize: 1_048_576,
    maxFragments: 1024,
    maxConnections: 10_000,
    maxConnectionsPerIp: 100,
    handshakeRate: 50,
    messageRate: 1000,
    byteRate: 16 * 1_048_576,
    onRateLimit: "throttle",
    maxBufferedMemory: 256 * 1_048_576,
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
    logFile: "websocket_errors.log",
    logLevel: "info",
    logFormat: "text",
    logMaxSize: 10 * 1_048_576,
    logMaxFiles: 5,
    logChain: false,
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
