// WebSocket servers that break rules in every way: each case of the self-test must fail against one of them.

import { OPCODE } from "../../src/protocol/frame.ts";
import { acceptFor } from "../../src/tools/client_handshake.ts";
import { close, frame } from "../../src/tools/raw_frame.ts";
import { TcpServer } from "./tool_process.ts";

/** How a server is bad. */
export type BadKind =
  /** Takes everything, answers everything, never ends anything, and sends back what it is sent. */
  | "lenient"
  /** As that one, but answers a message before the Ping that came before it. */
  | "disordered"
  /** As that one, but says 1005 where a Close has no code. */
  | "says 1005"
  /** As that one, but takes sixteen times the time for four times the head. */
  | "quadratic"
  /** Answers each request with 500. */
  | "error"
  /** Opens each WebSocket, and says nothing any more. */
  | "deaf";

/** All kinds. */
export const BAD_KINDS: readonly BadKind[] = [
  "lenient",
  "disordered",
  "says 1005",
  "quadratic",
  "error",
  "deaf",
];

type Conn = Pick<Deno.TcpConn, "read" | "write">;

/** Starts one on a free port. */
export function startBad(kind: BadKind): TcpServer {
  return new TcpServer((conn) => misbehave(conn, kind), { isAbandoned: true });
}

/** What a bad server does with one connection. */
export async function misbehave(conn: Conn, kind: BadKind): Promise<void> {
  const reader = new Reader(conn);
  const head = await reader.head();
  if (kind === "quadratic") {
    await new Promise((resolve) => setTimeout(resolve, 150 * (head.length / (32 * 1024)) ** 2));
  }
  await conn.write(new TextEncoder().encode(kind === "error" ? ERROR : await accept(head)));
  if (kind === "error") return;
  // It never ends a connection by itself, not even one that was ended.
  for (;;) {
    const { opcode, fin, payload } = await reader.frame();
    if (kind === "deaf") continue;
    const reply = replyTo(opcode, payload, kind);
    if (kind === "disordered" && opcode === OPCODE.ping) reader.late = reply;
    else if (reply !== undefined) void send(conn, reply);
    if (opcode < 8 && fin && reader.late !== undefined) {
      void send(conn, reader.late);
      reader.late = undefined;
    }
  }
}

function replyTo(opcode: number, payload: Uint8Array, kind: BadKind): Uint8Array | undefined {
  if (opcode === OPCODE.ping) return frame({ opcode: OPCODE.pong, payload, masked: false });
  if (opcode === OPCODE.pong) return undefined;
  if (opcode === OPCODE.close) {
    return kind === "says 1005" && payload.length === 0
      ? close(1005, "", false)
      : frame({ opcode: OPCODE.close, payload, masked: false });
  }
  return frame({ opcode: opcode === OPCODE.binary ? OPCODE.binary : OPCODE.text, payload, masked: false });
}

async function send(conn: Conn, bytes: Uint8Array): Promise<void> {
  try {
    for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
  } catch (error) {
    // Whoever attacks does not stay.
    if (!Object.values(Deno.errors).some((type) => error instanceof type)) throw error;
  }
}

const ERROR = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";

/** A 101 that chooses all that is offered and lets line breaks of the path into a header. */
async function accept(head: string): Promise<string> {
  const value = (name: string) => new RegExp(`^${name}:[ \t]*(.*?)\r?$`, "im").exec(head)?.[1];
  const lines = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${await acceptFor(value("sec-websocket-key") ?? "")}`,
  ];
  for (const name of ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"]) {
    const offered = value(name);
    if (offered !== undefined) lines.push(`${name}: ${offered.split(",")[0]}`);
  }
  const path = /^\S+ (\S+)/.exec(head)?.[1] ?? "";
  if (path.includes("%0d%0a")) lines.push(path.slice(path.indexOf("%0d%0a") + 6).replace("%20", " "));
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** Reads a head and frames, and keeps of a payload no more than 64 KiB. */
class Reader {
  late: Uint8Array | undefined;
  readonly #conn: Conn;
  readonly #chunk = new Uint8Array(64 * 1024);
  #start = 0;
  #end = 0;

  constructor(conn: Conn) {
    this.#conn = conn;
  }

  async head(): Promise<string> {
    let text = "";
    while (!text.endsWith("\r\n\r\n") && !text.endsWith("\n\n")) {
      text += String.fromCharCode(await this.#byte());
    }
    return text;
  }

  async frame(): Promise<{ opcode: number; fin: boolean; payload: Uint8Array }> {
    const first = await this.#byte();
    const second = await this.#byte();
    let size = second & 127;
    const extended = size === 126 ? 2 : size === 127 ? 8 : 0;
    if (extended > 0) size = 0;
    for (let i = 0; i < extended; i++) size = size * 256 + await this.#byte();
    const mask = [];
    for (let i = 0; second >= 128 && i < 4; i++) mask.push(await this.#byte());
    const payload = new Uint8Array(Math.min(size, 64 * 1024));
    for (let at = 0; at < size;) {
      if (this.#start === this.#end) await this.#fill();
      const part = this.#chunk.subarray(this.#start, Math.min(this.#end, this.#start + size - at));
      if (at < payload.length) payload.set(part.subarray(0, payload.length - at), at);
      at += part.length;
      this.#start += part.length;
    }
    if (mask.length > 0) { for (let i = 0; i < payload.length; i++) payload[i]! ^= mask[i & 3]!; }
    return { opcode: first & 15, fin: first >= 128, payload };
  }

  async #byte(): Promise<number> {
    if (this.#start === this.#end) await this.#fill();
    return this.#chunk[this.#start++]!;
  }

  async #fill(): Promise<void> {
    this.#start = 0;
    let count: number | null = null;
    try {
      count = await this.#conn.read(this.#chunk);
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
    }
    this.#end = count ?? 0;
    // At the end it waits for ever, so that the connection is never let go of.
    if (count === null) await new Promise(() => {});
  }
}
