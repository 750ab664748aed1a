// What happens on a connection: as lines for people, safe to show on a terminal, or as JSON for programs.

import { CLOSE_CODES, LOCAL_CODES } from "../../protocol/close_code.ts";
import { escapeShort, escapeText, hexOf } from "../../core/visible_text.ts";
import type { ResponseHead } from "../raw_client.ts";
import type { Ending, Incoming } from "./web_socket.ts";

/** The most characters of one text that are shown. */
const MAX_SHOWN = 16 * 1024;
const MAX_SHOWN_BYTES = 256;
/** Headers that can hold secrets, which are not shown. */
const SECRET = /^(authorization|proxy-authorization|cookie|set-cookie|sec-websocket-protocol): .*$/gim;

/** The name of a close code, or of its range (RFC 6455 §7.4.2). */
export function nameOf(code: number): string {
  const known = CLOSE_CODES[code] ?? LOCAL_CODES[code];
  if (known !== undefined) return known.name;
  return code >= 4000 ? "private use" : code >= 3000 ? "registered for libraries" : "not defined";
}

/** How a connection ended, in one or two lines: the code, the reason, and what a known code means. */
export function describeEnding({ code, reason, by }: Ending): string {
  const said = reason === "" ? "" : `: ${escapeText(reason)}`;
  const who = { server: "by the server", client: "by this client", nobody: "lost" }[by];
  const meaning = (CLOSE_CODES[code] ?? LOCAL_CODES[code])?.meaning;
  const first = `Closed ${who}: ${code} ${nameOf(code)}${said}`;
  return meaning === undefined || code === 1000 ? first : `${first}\n  meaning: ${meaning}`;
}

/** A refusal in lines: status, headers, and the start of the body. */
export function describeRefusal(head: ResponseHead, body: Uint8Array): string {
  const text = new TextDecoder().decode(body);
  const lines = [...showHead(head.text).split("\n"), "", ...text.trimEnd().split(/\r?\n/).map(escapeText)];
  return [`Refused: ${head.status} ${escapeText(head.reason)}`, ...lines.map((line) => `  ${line}`.trimEnd())]
    .join("\n")
    .trimEnd();
}

/** An HTTP head for a terminal, escaped and without the secrets in it. */
export function showHead(head: string): string {
  return head.replaceAll("\r", "").trimEnd().replace(SECRET, "$1: (not shown)").split("\n").map((line) =>
    escapeShort(line, 1024)
  ).join("\n");
}

/** A line about what came, for a person. */
export function describeIncoming(incoming: Exclude<Incoming, Ending>): string {
  switch (incoming.kind) {
    case "text":
      return `< ${escapeShort(incoming.text, MAX_SHOWN)}`;
    case "binary":
      return `< binary, ${incoming.bytes.length} bytes: ${hexOf(incoming.bytes, MAX_SHOWN_BYTES)}`;
    default:
      return `< ${incoming.kind}${incoming.payload.length === 0 ? "" : `: ${hexOf(incoming.payload, 125)}`}`;
  }
}

/** What came, as an object for JSON; binary data is in base64. */
export function asJson(incoming: Incoming): Readonly<Record<string, unknown>> {
  switch (incoming.kind) {
    case "text":
      return { type: "message", text: incoming.text };
    case "binary":
      return { type: "message", base64: incoming.bytes.toBase64() };
    case "closed": {
      const { code, reason, by } = incoming;
      return { type: "close", code, name: nameOf(code), reason, by };
    }
    default:
      return { type: incoming.kind, base64: incoming.payload.toBase64() };
  }
}
