// Every setting, declared once: flags, variables, help, the reference's tables and validation come from here.

import { UsageError } from "./errors.ts";
import { isKeySetUrl } from "./key_set_url.ts";
import { isHostName, isLoopbackAddress, isNetwork, isOrigin } from "./network_text.ts";
import { isClaimHeader, isCookieName, isFreeHeader, isPathPattern, isUpstreamUrl } from "./upstream_text.ts";
import {
  byteRate,
  choice,
  duration,
  type Environment,
  findGiven,
  type Given,
  type GivenValue,
  integer,
  list,
  optionalPath,
  optionalText,
  path,
  port,
  rate,
  readGiven,
  readSetting,
  type Setting,
  size,
  text,
  toggle,
  type ValueOf,
} from "./setting_types.ts";

/** All settings, in the order and the groups in which people read them. */
export const SETTINGS = {
  host: text({
    group: "Endpoints",
    help: "address or name to listen on",
    default: "127.0.0.1",
  }),
  echoPort: port({
    group: "Endpoints",
    help: "port of the echo endpoint, 0 for a free one",
    default: "8765",
  }),
  securePort: port({
    group: "Endpoints",
    help: "port of the secure endpoint, 0 for a free one",
    default: "8888",
  }),
  echo: toggle({
    group: "Endpoints",
    help: "leave the echo endpoint out",
    default: true,
  }),
  secure: toggle({
    group: "Endpoints",
    help: "leave the secure endpoint out",
    default: true,
  }),
  echoPrefix: text({
    group: "Endpoints",
    help: "what stands before an echoed text, empty for a verbatim echo",
    accepts: () => true,
    rule: "any text",
    default: "Server received: ",
  }),
  upstream: list({
    group: "Your own server",
    placeholder: "url",
    help: "WebSocket server to stand in front of, in place of the secure endpoint; several are a pool",
    accepts: isUpstreamUrl,
    rule: "ws://host:port, wss://host:port or unix:///path.sock, without a path, query or credentials",
  }),
  upstreamAuth: choice({
    group: "Your own server",
    help: "whether a client needs a token; none: the firewall only",
    choices: ["required", "none"],
    default: "required",
  }),
  upstreamPath: list({
    group: "Your own server",
    placeholder: "path",
    help: "path that clients may ask for, or the beginning of paths if it ends in *; without any, all may",
    accepts: isPathPattern,
    rule: "a path such as /chat, or /chat/*, without a query",
  }),
  upstreamTimeout: duration({
    group: "Your own server",
    help: "how long it may take to be connected to, TLS and its answer and all tries included",
    default: "5s",
    min: "100ms",
    max: "1m",
  }),
  upstreamMaxConnections: integer({
    group: "Your own server",
    help: "most connections at once to each server",
    default: "unlimited",
    min: "1",
    max: "1000000",
    word: "unlimited",
  }),
  upstreamMaxMessageSize: size({
    group: "Your own server",
    help: "largest message from it, all its fragments together",
    default: "16MiB",
    min: "1B",
    max: "1024GiB",
  }),
  upstreamHost: optionalText({
    group: "Your own server",
    placeholder: "name",
    help: "the header Host that it is sent",
    accepts: (given) => isHostName(given.replace(/:\d{1,5}$/, "")),
    rule: "a host name, with or without a port",
    unset: "what the client sent for ws and unix, the name in the URL for wss",
  }),
  upstreamClaim: list({
    group: "Your own server",
    placeholder: "claim=header",
    help: "claim of the token that it is sent in a header",
    accepts: isClaimHeader,
    rule: "a claim, = and a header such as X-Role that has no meaning of its own",
  }),
  upstreamClaimsHeader: optionalText({
    group: "Your own server",
    placeholder: "header",
    help: "header with all claims, as base64url of JSON",
    accepts: isFreeHeader,
    rule: "a header such as X-Claims that has no meaning of its own",
    unset: "none",
  }),
  upstreamForwardToken: toggle({
    group: "Your own server",
    help: "pass the token on, in the header Authorization",
    default: false,
  }),
  upstreamCa: optionalPath({
    group: "Your own server",
    help: "certificate authority in PEM to believe besides the usual ones, for wss; read again at SIGHUP",
    unset: "the usual ones",
  }),
  upstreamServerName: optionalText({
    group: "Your own server",
    placeholder: "name",
    help: "name that its certificate must be for, for wss",
    accepts: isHostName,
    rule: "a host name without a port",
    unset: "the name in the URL",
  }),
  upstreamCert: optionalPath({
    group: "Your own server",
    help: "certificate chain in PEM to show to it, for wss; read again at SIGHUP",
    unset: "none",
  }),
  upstreamKey: optionalPath({
    group: "Your own server",
    help: "private key of that certificate, in PEM; read again at SIGHUP",
    unset: "none",
  }),
  keyFile: path({
    group: "Authentication",
    help: "keys of the tokens: a secret, PEM, JWK or JWKS; a secret is created at the first start",
    default: "wsward.key",
  }),
  keyEncoding: choice({
    group: "Authentication",
    help: "how a secret in --key-file is written: base64 (base64url too), hex, or raw for its very bytes",
    choices: ["base64", "hex", "raw"],
    default: "base64",
  }),
  jwksUrl: optionalText({
    group: "Authentication",
    placeholder: "url",
    help: "public keys of an issuer, besides those of --key-file, which is not created then",
    accepts: isKeySetUrl,
    rule: "an https URL, or http on loopback, without credentials or fragment",
    unset: "none",
  }),
  issuer: optionalText({
    group: "Authentication",
    placeholder: "text",
    help: "issuer that a token must name in its claim iss",
    unset: "any",
  }),
  audience: list({
    group: "Authentication",
    placeholder: "text",
    help: "audience of which a token must name one in its claim aud; without it no token may name any",
  }),
  tokenType: optionalText({
    group: "Authentication",
    placeholder: "type",
    help: "media type that a token must have in its header typ, such as at+jwt",
    unset: "any",
  }),
  maxTokenAge: duration({
    group: "Authentication",
    help: "how long after its claim iat a token ends, if its exp is later",
    default: "unlimited",
    min: "1s",
    max: "365d",
    word: "unlimited",
  }),
  clockTolerance: duration({
    group: "Authentication",
    help: "how far the issuer's clock may be from ours, for exp, nbf, iat and the age of a token",
    default: "5s",
    min: "0s",
    max: "5m",
  }),
  authTimeout: duration({
    group: "Authentication",
    help: "how long the secure endpoint waits for the token",
    default: "10s",
    min: "100ms",
    max: "10m",
  }),
  insecureTokenInQuery: toggle({
    group: "Sessions",
    help: "take a token out of the query too, where proxies, logs and browser histories keep it",
    default: false,
  }),
  tokenCookie: optionalText({
    group: "Sessions",
    placeholder: "name",
    help: "cookie in which a token may be too; whoever sends one must send an Origin that may connect",
    accepts: isCookieName,
    rule: "a cookie name: letters, digits and !#$%&'*+-.^_`|~",
    unset: "none",
  }),
  expiryWarning: duration({
    group: "Sessions",
    help: "how long before the end of its token a session of wsward.v1 is sent token_expiring",
    default: "30s",
    min: "1s",
    max: "1h",
  }),
  maxSessionsPerUser: integer({
    group: "Sessions",
    help: "most sessions of one user at once",
    default: "10",
    min: "1",
    max: "1000000",
    word: "unlimited",
  }),
  onSessionLimit: choice({
    group: "Sessions",
    help: "what happens at --max-sessions-per-user; either way one session ends with 3003",
    choices: ["refuse-newest", "close-oldest"],
    default: "refuse-newest",
  }),
  replayCheck: toggle({
    group: "Sessions",
    help: "let each token, known by its claim jti, be used once only; one without a jti is refused",
    default: false,
  }),
  stateFile: optionalPath({
    group: "Sessions",
    help:
      "SQLite file in which revocations, and the tokens of --replay-check, outlive the process; created if it does not exist",
    unset: "none, they are kept in memory",
  }),
  maxMessageSize: size({
    group: "Limits",
    help: "largest message a peer may send, all its fragments together",
    default: "1MiB",
    min: "1B",
    // The runtime refuses frames above 64 MiB with an error of its own, so a higher limit could not be kept.
    max: "64MiB",
  }),
  maxRpcMessageSize: size({
    group: "Limits",
    help: "largest message of a wsward.v1 session, which is parsed as JSON; a reply may be twice as large",
    default: "64KiB",
    // A reply must have room for all claims of a token.
    min: "16KiB",
    // With more, one message could hold the event loop for longer than 20 ms.
    max: "256KiB",
  }),
  maxFragments: integer({
    group: "Limits",
    help: "most frames that one message may be made of",
    default: "1024",
    min: "1",
    max: "1000000",
    word: "unlimited",
  }),
  maxConnections: integer({
    group: "Limits",
    help: "most connections at once, over all endpoints",
    default: "10000",
    min: "1",
    max: "1000000",
    word: "unlimited",
  }),
  maxConnectionsPerIp: integer({
    group: "Limits",
    help: "most connections at once from one client address",
    default: "100",
    min: "1",
    max: "1000000",
    word: "unlimited",
  }),
  handshakeRate: rate({
    group: "Limits",
    help: "most handshakes from one client address",
    default: "50/s",
    min: "1/s",
    max: "1000000/s",
    word: "unlimited",
  }),
  messageRate: rate({
    group: "Limits",
    help:
      "most messages, further fragments and control frames from one connection, with bursts of one second's worth",
    default: "1000/s",
    min: "1/s",
    max: "1000000/s",
    word: "unlimited",
  }),
  byteRate: byteRate({
    group: "Limits",
    help: "most bytes from one connection, with bursts of one second's worth",
    default: "16MiB/s",
    min: "1KiB/s",
    max: "64GiB/s",
    word: "unlimited",
  }),
  onRateLimit: choice({
    group: "Limits",
    help: "what happens at --message-rate and --byte-rate: the peer is read more slowly, or closed with 1008",
    choices: ["throttle", "close"],
    default: "throttle",
  }),
  maxBufferedMemory: size({
    group: "Limits",
    help: "most memory that peers can make the process hold; the worst offender is closed first, with 1013",
    default: "512MiB",
    min: "1MiB",
    max: "1024GiB",
    word: "unlimited",
  }),
  handshakeTimeout: duration({
    group: "Timeouts",
    help: "how long a peer may take to send its handshake",
    default: "10s",
    min: "100ms",
    max: "1m",
  }),
  closeTimeout: duration({
    group: "Timeouts",
    help: "how long a peer may take to answer a Close frame",
    default: "5s",
    min: "100ms",
    max: "1m",
  }),
  idleTimeout: duration({
    group: "Timeouts",
    help: "how long a connection may be open without a text or binary message, in either direction",
    default: "10m",
    min: "100ms",
    max: "30d",
    word: "off",
  }),
  pingInterval: duration({
    group: "Timeouts",
    help: "how long a peer may be silent until it is sent a Ping",
    default: "20s",
    min: "100ms",
    max: "1d",
    word: "off",
  }),
  pingTimeout: duration({
    group: "Timeouts",
    help: "how long a peer may take to answer that Ping",
    default: "20s",
    min: "100ms",
    max: "1d",
  }),
  sendTimeout: duration({
    group: "Timeouts",
    help: "how long a peer may read nothing of what is sent to it",
    default: "30s",
    min: "100ms",
    max: "1d",
  }),
  messageTimeout: duration({
    group: "Timeouts",
    help: "how long an unfinished message may take to be finished, or to grow by 1 KiB",
    default: "1m",
    min: "100ms",
    max: "1d",
    word: "off",
  }),
  maxLifetime: duration({
    group: "Timeouts",
    help: "how long a connection may be open at all",
    default: "unlimited",
    min: "100ms",
    max: "365d",
    word: "unlimited",
  }),
  drainTimeout: duration({
    group: "Timeouts",
    help: "how long open connections have to end when the server stops",
    default: "10s",
    min: "100ms",
    max: "1h",
  }),
  allowOrigin: list({
    group: "Who may connect",
    placeholder: "origin",
    help:
      "origin of web pages that may connect, besides the server's own and, on loopback, any loopback port's",
    accepts: isOrigin,
    rule: "an origin such as https://example.com, without a path",
    advise: (given) =>
      given.includes("*")
        ? "there are no patterns: name each origin"
        : given === "null"
        ? "for local files and sandboxed frames of every site there is --insecure-allow-null-origin"
        : undefined,
  }),
  insecureAllowNullOrigin: toggle({
    group: "Who may connect",
    help: "let pages without an origin connect: local files, and sandboxed frames of every web site",
    default: false,
  }),
  insecureAllowAnyOrigin: toggle({
    group: "Who may connect",
    help: "let the pages of every web site connect",
    default: false,
  }),
  allowHost: list({
    group: "Who may connect",
    placeholder: "name",
    help: "name in the Host header that a listener answers to, besides addresses and, on loopback, localhost",
    accepts: isHostName,
    rule: "a host name without a port",
  }),
  allowIp: list({
    group: "Who may connect",
    placeholder: "cidr",
    help: "address or network that may connect; with any, all others may not",
    accepts: isNetwork,
    rule: "an address or a network such as 192.0.2.0/24 or 2001:db8::/32",
  }),
  denyIp: list({
    group: "Who may connect",
    placeholder: "cidr",
    help: "address or network that may not connect; wins over --allow-ip",
    accepts: isNetwork,
    rule: "an address or a network such as 192.0.2.0/24 or 2001:db8::/32",
  }),
  rulesFile: optionalPath({
    group: "Who may connect",
    help: "file of the same rules, a line each: allow CIDR, deny CIDR; read again at SIGHUP",
    unset: "none",
  }),
  banAfter: integer({
    group: "Who may connect",
    help: "violations and failed authentications, within --ban-window, after which an address is banned",
    default: "20",
    min: "1",
    max: "1000000",
    word: "off",
  }),
  banWindow: duration({
    group: "Who may connect",
    help: "time over which a count of violations fades away",
    default: "1m",
    min: "1s",
    max: "1d",
  }),
  banTime: duration({
    group: "Who may connect",
    help: "how long a ban lasts",
    default: "10m",
    min: "1s",
    max: "30d",
  }),
  banLoopback: toggle({
    group: "Who may connect",
    help: "ban loopback addresses too",
    default: false,
  }),
  trustProxy: list({
    group: "Who may connect",
    placeholder: "cidr",
    help: "address or network of a proxy whose X-Forwarded-For and PROXY preamble are believed",
    accepts: isNetwork,
    rule: "an address or a network such as 192.0.2.0/24 or 2001:db8::/32",
  }),
  proxyProtocol: toggle({
    group: "Who may connect",
    help: "expect the PROXY protocol, version 1 or 2, from the proxies of --trust-proxy",
    default: false,
  }),
  firewallDryRun: toggle({
    group: "Who may connect",
    help: "record what the rules of this group and the limits on connections would refuse, and let it pass",
    default: false,
  }),
  tlsCert: optionalPath({
    group: "TLS",
    help: "certificate chain in PEM; with --tls-key the endpoints serve wss; read again at SIGHUP",
    unset: "none",
  }),
  tlsKey: optionalPath({
    group: "TLS",
    help: "private key of the certificate, in PEM; read again at SIGHUP",
    unset: "none",
  }),
  tlsClientCa: optionalPath({
    group: "TLS",
    help: "certificate authority in PEM that a client's certificate must come from",
    unset: "no client certificate is asked for",
  }),
  adminListen: optionalText({
    group: "Administration",
    placeholder: "address",
    help: "loopback address and port of the page, the metrics and the commands for administrators",
    accepts: isLoopbackAddress,
    rule: "a loopback address and a port, such as 127.0.0.1:9090 or [::1]:9090, because it speaks no TLS",
    unset: "off",
  }),
  adminScope: text({
    group: "Administration",
    help: "word that a token must have in its claim scope, or scp, to administer",
    // RFC 6749 §3.3.
    accepts: (given) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(given),
    rule: "a word of ASCII without quotes, spaces or backslashes",
    default: "wsward:admin",
  }),
  logFile: path({
    group: "Log",
    help: "file that errors are appended to; none for no file, ./none for one of that name",
    default: "websocket_errors.log",
  }),
  logLevel: choice({
    group: "Log",
    help: "least severe record that the terminal shows",
    choices: ["debug", "info", "warning", "error", "fatal"],
    aliases: { warn: "warning" },
    default: "info",
  }),
  logFormat: choice({
    group: "Log",
    help: "form of a record, on the terminal and in the file",
    choices: ["text", "json"],
    default: "text",
  }),
  readyLines: choice({
    group: "Log",
    help: "whether the addresses are printed on stdout too once they are listened on; auto: not with " +
      "--log-format json, whose first record has them",
    choices: ["auto", "on", "off"],
    default: "auto",
  }),
  logMaxSize: size({
    group: "Log",
    help: "size at which the file is renamed to FILE.1 and a new one begun",
    default: "10MiB",
    min: "4KiB",
    max: "1024GiB",
    word: "unlimited",
  }),
  logMaxFiles: integer({
    group: "Log",
    help: "how many full files are kept besides the current one: FILE.1 is the newest",
    default: "5",
    min: "1",
    max: "1000",
  }),
  logChain: toggle({
    group: "Log",
    help: "let each record of the file carry the SHA-256 of the one before; needs --log-format json",
    default: false,
  }),
  runtimeDir: optionalPath({
    group: "Process",
    help: "folder for the private sockets",
    unset: "a fresh temporary folder",
  }),
} as const satisfies Record<string, Setting>;

/** What --log-file is given for no file. */
export const NO_LOG_FILE = "none";

/**
 * The file that settings can stand in too. It is no setting itself, because a file cannot say which file is read.
 */
export const CONFIG_FILE = optionalText({
  group: "Configuration",
  placeholder: "path",
  help: "file of settings, named like the flags: echo-port = 0, and echo = false for --no-echo; flags and " +
    "variables win over it; its relative paths start at the working directory, like those of flags",
  accepts: (given) => /^\P{Cc}+\.(json|toml)$/u.test(given),
  rule: "a file that ends in .json or .toml",
  unset: "none",
});

/** The flag and the variable that name {@linkcode CONFIG_FILE}. */
export const CONFIG_LABELS = { flag: "--config", variable: "WSWARD_CONFIG" } as const;

/** The name of a setting. */
export type SettingName = keyof typeof SETTINGS;

/** The names of all settings, in the order of declaration. */
export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/** All settings, read and in range: durations in ms, sizes in bytes, rates per second; no limit is `Infinity`. */
export type Settings = { readonly [Name in SettingName]: ValueOf<typeof SETTINGS[Name]> };

/** The declaration of one setting, where it does not matter which one it is. */
export function declarationOf(name: SettingName): Setting {
  return SETTINGS[name];
}

/** Whether there are tokens to judge, and with them keys and revocations. */
export function judgesTokens({ secure, upstream, upstreamAuth, adminListen }: Settings): boolean {
  return secure && (upstream.length === 0 || upstreamAuth === "required") || adminListen !== undefined;
}

/** A rule that settings break together. */
interface Combination {
  /** The settings that the rule is about; a mistake is where the first of them is that stands in the file. */
  readonly names: readonly SettingName[];
  isBroken(settings: Settings): boolean;
  readonly mistake: string;
}

const COMBINATIONS: readonly Combination[] = [
  {
    names: ["echo", "secure"],
    isBroken: ({ echo, secure }) => !echo && !secure,
    mistake: "Cannot leave out both endpoints: nothing is left to serve",
  },
  {
    names: ["echoPort", "securePort", "echo", "secure"],
    isBroken: ({ echoPort, securePort, echo, secure }) =>
      echo && secure && echoPort !== 0 && echoPort === securePort,
    mistake: "Cannot use one port for both endpoints: --echo-port and --secure-port must be two ports",
  },
  {
    names: ["upstream", "secure"],
    isBroken: ({ upstream, secure }) => upstream.length > 0 && !secure,
    mistake: "Cannot use --upstream with --no-secure: it takes the place of the secure endpoint",
  },
  {
    names: ["upstreamAuth", "upstream"],
    isBroken: ({ upstreamAuth, upstream }) => upstreamAuth === "none" && upstream.length === 0,
    mistake:
      "Cannot use --upstream-auth none without --upstream: the secure endpoint always asks for a token",
  },
  {
    names: ["upstreamTimeout", "handshakeTimeout", "upstream"],
    isBroken: ({ upstreamTimeout, handshakeTimeout, upstream }) =>
      upstream.length > 0 && upstreamTimeout >= handshakeTimeout,
    mistake: "Cannot use --upstream-timeout: it must be shorter than --handshake-timeout",
  },
  {
    names: ["upstreamClaim", "upstreamClaimsHeader", "upstreamAuth"],
    isBroken: ({ upstreamClaim, upstreamClaimsHeader, upstreamAuth }) =>
      upstreamAuth === "none" && (upstreamClaim.length > 0 || upstreamClaimsHeader !== undefined),
    mistake: "Cannot pass claims on with --upstream-auth none: without a token there are none",
  },
  {
    names: ["upstreamClaim", "upstreamClaimsHeader"],
    isBroken: ({ upstreamClaim, upstreamClaimsHeader }) => {
      const headers = [...upstreamClaim.map((given) => given.slice(given.lastIndexOf("=") + 1))];
      if (upstreamClaimsHeader !== undefined) headers.push(upstreamClaimsHeader);
      return new Set(headers.map((header) => header.toLowerCase())).size < headers.length;
    },
    mistake:
      "Cannot pass two things on in one header: --upstream-claim and --upstream-claims-header name it twice",
  },
  {
    names: ["upstreamCert", "upstreamKey"],
    isBroken: ({ upstreamCert, upstreamKey }) => (upstreamCert === undefined) !== (upstreamKey === undefined),
    mistake: "Cannot use only one of --upstream-cert and --upstream-key: both are needed",
  },
  {
    names: ["upstreamServerName", "upstreamCert"],
    isBroken: ({ upstreamServerName, upstreamCert }) =>
      upstreamServerName !== undefined && upstreamCert !== undefined,
    mistake:
      "Cannot use --upstream-server-name with --upstream-cert: the runtime shows a certificate only to " +
      "the name in the URL",
  },
  {
    names: ["tokenCookie", "insecureAllowAnyOrigin", "insecureAllowNullOrigin"],
    // A page in a sandbox, of whatever site, has no Origin but null.
    isBroken: ({ tokenCookie, insecureAllowAnyOrigin, insecureAllowNullOrigin }) =>
      tokenCookie !== undefined && (insecureAllowAnyOrigin || insecureAllowNullOrigin),
    mistake:
      "Cannot use --token-cookie with --insecure-allow-any-origin or --insecure-allow-null-origin: every web " +
      "site could use the cookie",
  },
  {
    names: ["tlsCert", "tlsKey"],
    isBroken: ({ tlsCert, tlsKey }) => (tlsCert === undefined) !== (tlsKey === undefined),
    mistake: "Cannot use only one of --tls-cert and --tls-key: TLS needs both",
  },
  {
    names: ["tlsClientCa", "tlsCert"],
    isBroken: ({ tlsClientCa, tlsCert }) => tlsClientCa !== undefined && tlsCert === undefined,
    mistake: "Cannot use --tls-client-ca without TLS: it needs --tls-cert and --tls-key",
  },
  {
    names: ["proxyProtocol", "trustProxy"],
    isBroken: ({ proxyProtocol, trustProxy }) => proxyProtocol && trustProxy.length === 0,
    mistake: "Cannot use --proxy-protocol alone: --trust-proxy says whose preamble is believed",
  },
  {
    names: ["logChain", "logFormat"],
    isBroken: ({ logChain, logFormat }) => logChain && logFormat !== "json",
    mistake: "Cannot use --log-chain with text: it needs --log-format json",
  },
  {
    names: ["logChain", "logFile"],
    isBroken: ({ logChain, logFile }) => logChain && logFile === NO_LOG_FILE,
    mistake: "Cannot use --log-chain without a file: --log-file must name one",
  },
];

/** The name of a setting in a file: `echo-port`. */
export function keyOf(name: SettingName): string {
  return splitWords(name, "-");
}

/** The flag of a setting, without a value: `--echo-port`, and `--no-echo` for a switch that is on by default. */
export function flagOf(name: SettingName): string {
  const setting = declarationOf(name);
  const prefix = setting.kind === "switch" && setting.default ? "--no-" : "--";
  return prefix + keyOf(name);
}

/** The environment variable of a setting: `WSWARD_ECHO_PORT`. */
export function variableOf(name: SettingName): string {
  return `WSWARD_${splitWords(name, "_").toUpperCase()}`;
}

/** What a file says about the settings. */
export interface FileSettings {
  /** What it gives, every value of which keeps its setting's rule; labelled with file and line. */
  readonly given: ReadonlyMap<SettingName, Given>;
  /** The settings of which it cannot be told what the file gives. */
  readonly unknown: ReadonlySet<SettingName>;
}

/** What gives a setting its value, see {@linkcode findGiven}. */
export function findSetting(
  name: SettingName,
  flag: GivenValue | undefined,
  env: Environment,
  file?: FileSettings,
): Given | undefined {
  return findGiven(declarationOf(name), labelsOf(name), flag, env, file?.given.get(name));
}

/**
 * Reads one setting: what its flag was given wins over its variable, then the file, then its default. Throws
 * {@linkcode UsageError} if the text breaks the setting's rule. A variable that is set to nothing counts as given.
 */
export function parseSetting<Name extends SettingName>(
  name: Name,
  flag: GivenValue | undefined,
  env: Environment,
  file?: FileSettings,
): Settings[Name] {
  // The declaration's type says what its parse returns, but TypeScript cannot follow that through the name.
  return readSetting(
    declarationOf(name),
    labelsOf(name),
    flag,
    env,
    file?.given.get(name),
  ) as Settings[Name];
}

/**
 * Reads every setting, see {@linkcode parseSetting}. Throws {@linkcode UsageError} for the first one that is wrong, and
 * for settings that cannot be together.
 */
export function parseSettings(
  flags: ReadonlyMap<SettingName, GivenValue>,
  env: Environment,
  file?: FileSettings,
): Settings {
  const { settings, mistakes } = checkSettings(flags, env, file);
  if (mistakes[0] !== undefined) throw new UsageError(mistakes[0]);
  return settings;
}

/**
 * Reads every setting and tells all that is wrong with the flags and the variables, and with what is given together. Of
 * `settings` those that are wrong are missing.
 */
export function checkSettings(
  flags: ReadonlyMap<SettingName, GivenValue>,
  env: Environment,
  file?: FileSettings,
): { readonly settings: Settings; readonly mistakes: readonly string[] } {
  const values = new Map<SettingName, unknown>();
  const given = new Map<SettingName, Given>();
  const mistakes: string[] = [];
  for (const name of SETTING_NAMES) {
    const found = findSetting(name, flags.get(name), env, file);
    const setting = declarationOf(name);
    if (found === undefined) {
      if (!file?.unknown.has(name)) values.set(name, setting.default);
      continue;
    }
    given.set(name, found);
    try {
      values.set(name, readGiven(setting, found));
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      mistakes.push(error.message);
    }
  }
  // In front of somebody's own server there is no echo beside it, unless that was asked for.
  if (values.get("upstream") instanceof Array && (values.get("upstream") as readonly string[]).length > 0) {
    if (!given.has("echo") && !given.has("echoPort")) values.set("echo", false);
  }
  const settings = Object.fromEntries(values) as Settings;
  for (const { names, isBroken, mistake } of COMBINATIONS) {
    // What is missing was told already, and the rest says nothing without it.
    if (!names.every((name) => values.has(name)) || !isBroken(settings)) continue;
    const place = names.map((name) => given.get(name)).find((found) => found?.source === "file");
    mistakes.push(place === undefined ? mistake : `${place.label}: ${mistake}`);
  }
  return { settings, mistakes };
}

function labelsOf(name: SettingName): { readonly flag: string; readonly variable: string } {
  return { flag: flagOf(name), variable: variableOf(name) };
}

function splitWords(name: string, separator: string): string {
  return name.replace(/[A-Z]/g, (letter) => separator + letter.toLowerCase());
}
