// The HTTP statuses of refused handshakes, and what each one means when wsward sends it.

import type { Explanation } from "../core/explanation.ts";

/** What is known about a status. */
export interface RefusalStatusDeclaration extends Explanation {
  /** Its name in RFC 9110 or, for 429 and 431, in RFC 6585. */
  readonly name: string;
  readonly meaning: string;
}

/** Every status that a handshake can be refused with. */
export const REFUSAL_STATUSES = {
  400: {
    name: "Bad Request",
    meaning: "this is no HTTP/1.1 request, or no WebSocket handshake; the text says what is wrong",
    cause:
      "a client of another protocol, a broken proxy, a missing header or a body, or two ways to say a token",
  },
  401: {
    name: "Unauthorized",
    meaning: "the token of the header Authorization is not valid",
    cause: "an expired, forged or revoked token, or one of another issuer; the log says precisely why",
    settings: ["keyFile", "jwksUrl", "issuer", "audience", "clockTolerance"],
  },
  403: {
    name: "Forbidden",
    meaning: "this client may not connect",
    cause: "its address is not allowed or is banned, or it is a web page of another origin",
    settings: ["allowOrigin", "allowIp", "denyIp", "rulesFile", "banAfter"],
  },
  404: { name: "Not Found", meaning: "there is nothing at this path", cause: "a URL with the wrong path" },
  405: {
    name: "Method Not Allowed",
    meaning: "a handshake is a GET",
    cause: "a client that is no WebSocket client",
  },
  408: {
    name: "Request Timeout",
    meaning: "the handshake did not come in time",
    cause: "a very slow network, a port scanner, or an attack that holds connections open",
    settings: ["handshakeTimeout"],
  },
  417: {
    name: "Expectation Failed",
    meaning: "a handshake has no body to expect",
    cause: "a client that sends the header Expect",
  },
  421: {
    name: "Misdirected Request",
    meaning: "the server does not answer to the name in the header Host",
    cause: "a name that is not allowed yet, or a web page that had its own name lead here (DNS rebinding)",
    settings: ["allowHost"],
  },
  426: {
    name: "Upgrade Required",
    meaning: "only WebSocket, version 13, is spoken here",
    cause: "a browser's address bar, curl, a health check, or a client of an old draft",
  },
  429: {
    name: "Too Many Requests",
    meaning: "this address has too many connections, or opens them too fast",
    cause: "a client that connects in a loop, or many clients behind one address",
    settings: ["handshakeRate", "maxConnectionsPerIp", "trustProxy"],
  },
  431: {
    name: "Request Header Fields Too Large",
    meaning: "the request head is too long",
    cause: "large cookies, a token of many kilobytes, or an attack",
  },
  500: {
    name: "Internal Server Error",
    meaning: "a failure on the server's side",
    cause: "a fault in wsward itself; the log has the details",
  },
  502: {
    name: "Bad Gateway",
    meaning: "the server behind this one can't be used",
    cause: "it refused the connection, TLS to it failed, or its answer was no WebSocket handshake",
    settings: ["upstream", "upstreamCa"],
  },
  503: {
    name: "Service Unavailable",
    meaning: "the server can't take the connection now; the header Retry-After says when to try again",
    cause:
      "too many open connections, a server that is stopping, an endpoint or all upstreams down, a late verification, or a " +
      "token whose key the issuer could not be asked for",
    settings: ["maxConnections", "drainTimeout", "authTimeout", "jwksUrl", "upstreamMaxConnections"],
  },
  504: {
    name: "Gateway Timeout",
    meaning: "the server behind this one did not answer in time",
    cause: "it is stuck, too busy, or not reachable",
    settings: ["upstreamTimeout"],
  },
  505: {
    name: "HTTP Version Not Supported",
    meaning: "the HTTP version must be 1.1",
    cause: "an HTTP/1.0 client or proxy",
  },
} as const satisfies Readonly<Record<number, RefusalStatusDeclaration>>;

/** The statuses of refusals. */
export type RefusalStatus = keyof typeof REFUSAL_STATUSES;
