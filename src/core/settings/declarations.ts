// Every setting, declared once: flags, variables, help, the reference's tables and validation come from here.

import { holdsCredentials, isRedisUrl } from "../redis_text.ts";
import { isKeySetUrl } from "../key_set_url.ts";
import {
  isHostName,
  isIpAddressAndPort,
  isLoopbackAddress,
  isNetwork,
  isOrigin,
  isPlainPath,
} from "../network_text.ts";
import { isClaimHeader, isCookieName, isFreeHeader, isPathPattern, isUpstreamUrl } from "../upstream_text.ts";
import {
  byteRate,
  choice,
  duration,
  integer,
  list,
  optionalPath,
  optionalText,
  path,
  port,
  rate,
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
      "most messages, further fragments, control frames and requests of a batch from one connection, with bursts of " +
      "one second's worth",
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
  metricsListen: optionalText({
    group: "Administration",
    placeholder: "address",
    help:
      "address and port of /healthz, /readyz and /metrics alone, for probes and Prometheus on other machines",
    accepts: isIpAddressAndPort,
    rule: "an IP address and a port, such as 0.0.0.0:9091 or [::]:9091",
    unset: "off",
  }),
  metricsTokenFile: optionalPath({
    group: "Administration",
    help: "file with the bearer token that /metrics of --metrics-listen asks for; read again at SIGHUP",
    unset: "no token is asked for",
  }),
  healthPath: optionalText({
    group: "Administration",
    placeholder: "path",
    help: "path at which the public ports answer GET and HEAD: 200 when the server is ready, or 503",
    accepts: isPlainPath,
    rule: "a path without a query, such as /healthz",
    unset: "none",
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
  redis: optionalText({
    group: "Many nodes",
    placeholder: "url",
    help:
      "Redis or Valkey through which many processes and machines share sessions, used tokens, revocations and bans; " +
      "with a name or a password only in a variable or a file of settings",
    accepts: isRedisUrl,
    rule:
      "redis://host:port, rediss://host:port for TLS or unix:///path.sock, with user:password@ if it asks for one",
    refuseFlag: (given) =>
      holdsCredentials(given) ? "everybody on this machine sees the password in a flag" : undefined,
    unset: "none, this process is alone",
  }),
  redisPrefix: text({
    group: "Many nodes",
    help: "beginning of all keys in Redis; nodes with the same one belong together",
    accepts: (given) => /^[\w.-]{1,64}$/.test(given),
    rule: "1 to 64 letters, digits, dots, dashes or underscores",
    default: "wsward",
  }),
  redisTimeout: duration({
    group: "Many nodes",
    help: "how long Redis may take to answer; later than that it is lost, and nobody waits for it any more",
    default: "250ms",
    min: "10ms",
    max: "5s",
  }),
  redisCa: optionalPath({
    group: "Many nodes",
    help:
      "certificate authority in PEM to believe besides the usual ones, for rediss; read for each connection",
    unset: "the usual ones",
  }),
  nodeName: optionalText({
    group: "Many nodes",
    placeholder: "name",
    help: "what this node is called in lists and records",
    accepts: (given) => /^[\w.-]{1,64}$/.test(given),
    rule: "1 to 64 letters, digits, dots, dashes or underscores",
    unset: "node- and something random",
  }),
  onRedisLoss: choice({
    group: "Many nodes",
    help:
      "what happens to new sessions without Redis: local limits hold, or they are refused with 503 or 1013",
    choices: ["local", "refuse"],
    default: "local",
  }),
  reusePort: toggle({
    group: "Many nodes",
    help: "let several processes listen on the same ports, among which Linux divides new connections",
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

/** The name of a setting. */
export type SettingName = keyof typeof SETTINGS;

/** The names of all settings, in the order of declaration. */
export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/** All settings, read and in range: durations in ms, sizes in bytes, rates per second; no limit is `Infinity`. */
export type Settings = { readonly [Name in SettingName]: ValueOf<typeof SETTINGS[Name]> };
