// Settings that can't be used together.

import { NO_LOG_FILE, type SettingName, type Settings } from "./declarations.ts";

/** A rule that settings break together. */
export interface Combination {
  /** The settings that the rule is about. In a file, the mistake is reported at the first of them that is there. */
  readonly names: readonly SettingName[];
  isBroken(settings: Settings): boolean;
  readonly mistake: string;
}

/** Every rule about settings that are given together. */
export const COMBINATIONS: readonly Combination[] = [
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
    mistake: "Cannot use --proxy-protocol alone: --trust-proxy says whose preamble is trusted",
  },
  {
    names: ["metricsTokenFile", "metricsListen"],
    isBroken: ({ metricsTokenFile, metricsListen }) =>
      metricsTokenFile !== undefined && metricsListen === undefined,
    mistake: "Cannot use --metrics-token-file alone: --metrics-listen says where the metrics are",
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
