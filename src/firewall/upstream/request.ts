// The request to an upstream, made anew from a list of what may be in it. No I/O.

import type { UpstreamAddress } from "../../core/upstream_text.ts";
import type { RequestHead } from "../../protocol/handshake.ts";
import type { Pass, Ticket } from "./gate.ts";

/** Headers of the client that are passed on as they are; all others stay outside. */
const PASSED_HEADERS = [
  ["Sec-WebSocket-Key", "sec-websocket-key"],
  ["Origin", "origin"],
  ["User-Agent", "user-agent"],
  ["Accept-Language", "accept-language"],
  ["traceparent", "traceparent"],
  ["tracestate", "tracestate"],
] as const;

/** What a request is made from. */
export interface UpstreamRequest {
  readonly head: RequestHead;
  readonly pass: Pass;
  readonly ticket: Ticket;
  readonly server: UpstreamAddress;
  /** The Host to send in place of the usual one. */
  readonly host: string | undefined;
  readonly connection: string;
  readonly address: string;
  /** Whether the client came over TLS. */
  readonly isSecure: boolean;
}

/** The request head. It offers no extension, so that frames mean exactly what RFC 6455 says. */
export function encodeUpstreamRequest(request: UpstreamRequest): Uint8Array<ArrayBuffer> {
  const { head: { path, headers }, pass, ticket, server, connection, address, isSecure } = request;
  const clientHost = headers.get("host") ?? "";
  const lines = [
    `GET ${path}${pass.query} HTTP/1.1`,
    `Host: ${request.host ?? (server.kind === "tls" ? hostOf(server) : clientHost)}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
  ];
  for (const [name, key] of PASSED_HEADERS) {
    const value = headers.get(key);
    if (value !== undefined) lines.push(`${name}: ${value}`);
  }
  if (pass.subprotocols.length > 0) lines.push(`Sec-WebSocket-Protocol: ${pass.subprotocols.join(", ")}`);
  if (pass.cookie !== undefined) lines.push(`Cookie: ${pass.cookie}`);
  lines.push(
    `X-Forwarded-For: ${address}`,
    `X-Forwarded-Proto: ${isSecure ? "https" : "http"}`,
    `X-Forwarded-Host: ${clientHost}`,
    `X-Connection-Id: ${connection}`,
  );
  for (const [name, value] of ticket.headers) lines.push(`${name}: ${value}`);
  return encodeLatin1(`${lines.join("\r\n")}\r\n\r\n`);
}

/** The response head for a client whose handshake the server has accepted. */
export function encodeWelcome(
  { accept, subprotocol, cookies }: {
    readonly accept: string;
    readonly subprotocol: string | undefined;
    readonly cookies: readonly string[];
  },
): Uint8Array<ArrayBuffer> {
  const lines = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accept}`,
  ];
  if (subprotocol !== undefined) lines.push(`Sec-WebSocket-Protocol: ${subprotocol}`);
  for (const cookie of cookies) lines.push(`Set-Cookie: ${cookie}`);
  return encodeLatin1(`${lines.join("\r\n")}\r\n\r\n`);
}

function hostOf(server: UpstreamAddress & { readonly kind: "tcp" | "tls" }): string {
  const name = server.hostname.includes(":") ? `[${server.hostname}]` : server.hostname;
  return server.port === 443 ? name : `${name}:${server.port}`;
}

/** Headers were read as Latin-1, so each character is one byte. */
function encodeLatin1(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
