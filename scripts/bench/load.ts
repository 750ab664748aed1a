// The load generator: a process of its own that drives one echo server over raw TCP and prints its measurements.
//
// It does as little as possible for each message: the masked frames are built beforehand, and only the first reply of
// each connection is checked; after that it counts bytes.
import { concat } from "../../tests/support/raw_client.ts";
import { cpuSeconds } from "./cpu.ts";
import type { MessageKind, Row } from "./rows.ts";

/** What to do, passed as JSON in the only argument. */
export interface LoadOrder {
  readonly port: number;
  /** The process whose CPU time is read. */
  readonly serverPid: number;
  readonly row: Row;
  /** The certificate to trust, if the server uses TLS. */
  readonly caCert?: string | undefined;
  /** How long to measure. */
  readonly seconds: number;
  /** How long to drive the server before that. */
  readonly warmUpSeconds: number;
}

/** What was measured, printed as one line of JSON. CPU times are undefined where `/proc` does not exist. */
export interface LoadResult {
  readonly messages: number;
  readonly seconds: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly serverCpuSeconds?: number | undefined;
  readonly clientCpuSeconds?: number | undefined;
}

interface Traffic {
  /** The request frames that may be in flight at once, one after the other. */
  readonly requests: Uint8Array;
  readonly requestSize: number;
  /** One whole reply as it must look. */
  readonly reply: Uint8Array;
}

const READ_SIZE = 64 * 1024;
/** Round trips are counted in microseconds; one that takes longer than this counts as this much. */
const LONGEST_US = 2_000_000;

/** A Close frame with the code 1000 and a masking key of zeros. */
const CLOSE = Uint8Array.of(0x88, 0x82, 0, 0, 0, 0, 3, 232);

/** Counts round trips while it is measuring. */
class Meter {
  phase: "warming up" | "measuring" | "over" = "warming up";
  messages = 0;
  readonly #byMicrosecond = new Uint32Array(LONGEST_US + 1);

  record(milliseconds: number): void {
    this.messages++;
    this.#byMicrosecond[Math.min(Math.round(milliseconds * 1000), LONGEST_US)]!++;
  }

  /** The time that the share `q` of the round trips did not exceed, in microseconds. */
  quantile(q: number): number {
    let left = Math.ceil(this.messages * q);
    return this.#byMicrosecond.findIndex((count) => (left -= count) <= 0);
  }
}

/** Drives the server as ordered. Throws if it does not echo, or ends a connection. */
async function run(order: LoadOrder): Promise<LoadResult> {
  const traffic = createTraffic(order.row);
  const { connections, idle, kind } = order.row;
  if (kind === "handshake") return await runHandshakes(order, traffic);
  const conns: Deno.Conn[] = [];
  // One by one: a thousand at once would overflow the queue of any listener.
  for (let i = 0; i < idle + connections; i++) conns.push(await connect(order, traffic));
  const meter = new Meter();
  const driven = Promise.all(
    conns.slice(idle).map((conn) => drive(conn, order.row.inFlight, traffic, meter)),
  );
  const measured = measure(order, meter);
  // The first failure ends the run.
  const [result] = await Promise.all([measured, driven]);
  for (const conn of conns) conn.close();
  return result;
}

/** Opens new connections for as long as it measures, each for one message. */
async function runHandshakes(order: LoadOrder, traffic: Traffic): Promise<LoadResult> {
  const meter = new Meter();
  const driven = Promise.all(Array.from({ length: order.row.connections }, async () => {
    const buffer = new Uint8Array(READ_SIZE);
    while (meter.phase !== "over") {
      const startMs = performance.now();
      using conn = await connect(order, traffic);
      await writeAll(conn, CLOSE);
      while (await conn.read(buffer) !== null);
      if (meter.phase === "measuring") meter.record(performance.now() - startMs);
    }
  }));
  const [result] = await Promise.all([measure(order, meter), driven]);
  return result;
}

async function measure({ serverPid, seconds, warmUpSeconds }: LoadOrder, meter: Meter): Promise<LoadResult> {
  await sleep(warmUpSeconds);
  meter.phase = "measuring";
  const before = { time: performance.now(), server: cpuSeconds(serverPid), client: cpuSeconds(Deno.pid) };
  await sleep(seconds);
  meter.phase = "over";
  const after = { time: performance.now(), server: cpuSeconds(serverPid), client: cpuSeconds(Deno.pid) };
  return {
    messages: meter.messages,
    seconds: (after.time - before.time) / 1000,
    p50Us: meter.quantile(0.5),
    p99Us: meter.quantile(0.99),
    serverCpuSeconds: after.server && before.server && after.server - before.server,
    clientCpuSeconds: after.client && before.client && after.client - before.client,
  };
}

/** Keeps `inFlight` messages under way until the time is over, then waits for the last replies. */
async function drive(conn: Deno.Conn, inFlight: number, traffic: Traffic, meter: Meter): Promise<void> {
  const { requests, requestSize, reply } = traffic;
  const buffer = new Uint8Array(READ_SIZE);
  // A ring: replies come in the order of the requests, so the oldest is always at `next`.
  const sentAt = new Float64Array(inFlight).fill(performance.now());
  let next = 0;
  let outstanding = inFlight;
  let received = 0;
  await writeAll(conn, requests);
  while (outstanding > 0) {
    received += await read(conn, buffer);
    const replies = Math.floor(received / reply.length);
    if (replies === 0) continue;
    received -= replies * reply.length;
    const now = performance.now();
    for (let count = 0; count < replies; count++) {
      if (meter.phase === "measuring") meter.record(now - sentAt[next]!);
      sentAt[next] = now;
      next = next + 1 === inFlight ? 0 : next + 1;
    }
    if (meter.phase === "over") outstanding -= replies;
    else await writeAll(conn, requests.subarray(0, replies * requestSize));
  }
}

/** Connects, does the handshake and checks that one message comes back as it should. */
async function connect(
  { port, caCert }: LoadOrder,
  { requests, requestSize, reply }: Traffic,
): Promise<Deno.Conn> {
  const tcp = await Deno.connect({ hostname: "127.0.0.1", port });
  tcp.setNoDelay(true);
  const conn = caCert === undefined
    ? tcp
    : await Deno.startTls(tcp, { hostname: "localhost", caCerts: [caCert] });
  const head = [
    "GET / HTTP/1.1",
    `Host: 127.0.0.1:${port}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))))}`,
  ];
  await writeAll(conn, new TextEncoder().encode(head.join("\r\n") + "\r\n\r\n"));
  const answer = await readHead(conn);
  if (!answer.startsWith("HTTP/1.1 101 ")) throw new Error(`Cannot connect: ${JSON.stringify(answer)}`);
  await writeAll(conn, requests.subarray(0, requestSize));
  const got = new Uint8Array(reply.length);
  for (let count = 0; count < got.length;) count += await read(conn, got.subarray(count));
  if (got.some((byte, index) => byte !== reply[index])) {
    throw new Error("The reply is not an echo of the message");
  }
  return conn;
}

/** Reads byte by byte, so that nothing after the head is taken. */
async function readHead(conn: Deno.Conn): Promise<string> {
  const byte = new Uint8Array(1);
  let head = "";
  while (!head.endsWith("\r\n\r\n")) {
    await read(conn, byte);
    head += String.fromCharCode(byte[0]!);
  }
  return head;
}

function createTraffic({ inFlight, sizeBytes, kind }: Row): Traffic {
  const opcode = kind === "binary" ? 2 : 1;
  const payload = createPayload(kind, sizeBytes);
  const key = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);
  const masked = payload.map((byte, index) => byte ^ key[index % 4]!);
  const request = concat(frameHeader(opcode, sizeBytes, 0x80), key, masked);
  const requests = new Uint8Array(request.length * inFlight);
  for (let index = 0; index < inFlight; index++) requests.set(request, index * request.length);
  const reply = concat(frameHeader(opcode, sizeBytes, 0), payload);
  return { requests, requestSize: request.length, reply };
}

/** Korean takes three bytes a character; the rest is ASCII. */
function createPayload(kind: MessageKind, sizeBytes: number): Uint8Array {
  const korean = kind === "korean" ? "\uc548".repeat(Math.floor(sizeBytes / 3)) : "";
  const payload = new Uint8Array(sizeBytes);
  const { written } = new TextEncoder().encodeInto(korean, payload);
  for (let index = written; index < sizeBytes; index++) payload[index] = 97 + index % 26;
  return payload;
}

function frameHeader(opcode: number, size: number, maskBit: number): Uint8Array {
  const first = 0x80 | opcode;
  if (size < 126) return Uint8Array.of(first, maskBit | size);
  if (size < 65536) return Uint8Array.of(first, maskBit | 126, size >> 8, size & 0xff);
  return Uint8Array.of(
    first,
    maskBit | 127,
    0,
    0,
    0,
    0,
    size >>> 24,
    size >> 16 & 0xff,
    size >> 8 & 0xff,
    size & 0xff,
  );
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  let sent = await conn.write(bytes);
  while (sent < bytes.length) sent += await conn.write(bytes.subarray(sent));
}

async function read(conn: Deno.Conn, buffer: Uint8Array): Promise<number> {
  const count = await conn.read(buffer);
  if (count === null) throw new Error("The server ended the connection");
  return count;
}

function sleep(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

if (import.meta.main) console.log(JSON.stringify(await run(JSON.parse(Deno.args[0]!))));
