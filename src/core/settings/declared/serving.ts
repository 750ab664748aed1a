// Settings: what is served, and where.

import { isHostName } from "../../network_text.ts";
import { isClaimHeader, isFreeHeader, isPathPattern, isUpstreamUrl } from "../../upstream_text.ts";
import {
  choice,
  duration,
  integer,
  list,
  optionalPath,
  optionalText,
  port,
  type Setting,
  size,
  text,
  toggle,
} from "../setting_types.ts";

/** Endpoints, and somebody's own server in place of them. */
export const SERVING = {
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
    help: "text put before an echoed text; empty for a verbatim echo",
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
    help: "how long connecting to it may take, with TLS, its answer and all tries",
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
    help: "header Host to send to it",
    accepts: (given) => isHostName(given.replace(/:\d{1,5}$/, "")),
    rule: "a host name, with or without a port",
    unset: "what the client sent for ws and unix, the name in the URL for wss",
  }),
  upstreamClaim: list({
    group: "Your own server",
    placeholder: "claim=header",
    help: "claim of the token to send to it in a header",
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
    help: "certificate authority in PEM to trust besides the usual ones, for wss; read again at SIGHUP",
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
} as const satisfies Record<string, Setting>;
