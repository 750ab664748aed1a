// Settings: what strangers are held to.

import { isHostName, isNetwork, isOrigin } from "../../network_text.ts";
import {
  byteRate,
  choice,
  duration,
  integer,
  list,
  optionalPath,
  rate,
  type Setting,
  size,
  toggle,
} from "../setting_types.ts";

/** Limits, times, who may connect, TLS. */
export const LIMITS = {
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
    help: "address or network of a proxy whose X-Forwarded-For and PROXY preamble are trusted",
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
} as const satisfies Record<string, Setting>;
