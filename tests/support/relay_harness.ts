// A connection that is relayed to a WebSocket server by others (npm `ws`), in this process.

import { WebSocketServer } from "ws";
import type { AddressInfo } from "node:net";
import { writeAll } from "../../src/firewall/byte_socket.ts";
import { Connection } from "../../src/firewall/connection/connection.ts";
import type { ConnectionLimits } from "../../src/firewall/connection/connection_parts.ts";
import { FrameCheck } from "../../src/firewall/connection/frame_check.ts";
import { Outbox } from "../../src/firewall/connection/outbox.ts";
import { EndpointCounters } from "../../src/firewall/counters.ts";
import { MemoryBudget } from "../../src/firewall/memory_budget.ts";
import { Relayed } from "../../src/firewall/ways/relayed.ts";
import type { LogFields } from "../../src/telemetry/log.ts";
import { LIMITS, type LoggedEvent } from "./firewall_harness.ts";
import { requestHead } from "./raw_client.ts";

/** What is used of a socket of npm `ws`, which brings no types. */
interface ForeignSocket {
  on(event: "error", listener: () => void): void;
  on(event: "message", listener: (data: unknown, isBinary: boolean) => void): void;
  send(data: unknown, options: { readonly binary: boolean }): void;
}

/** A running relay; what connects to `port` and sends a request head is relayed. */
export interface RelayHarness {
  readonly port: number;
  readonly events: readonly LoggedEvent[];
  readonly connections: readonly Connection[];
  readonly budget: MemoryBudget;
  /** The server behind it. */
  readonly upstream: WebSocketServer;
  /** Ends all and resolves when nothing is left. */
  stop(): Promise<void>;
}

/** Starts a relay before a server that answers each message with the same. */
export async function startRelay(limits: Partial<ConnectionLimits> = {}): Promise<RelayHarness> {
  const upstream = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  upstream.on("connection", (socket: ForeignSocket) => {
    socket.on("error", () => {});
    socket.on("message", (data: unknown, isBinary: boolean) => socket.send(data, { binary: isBinary }));
  });
  await new Promise((resolve) => upstream.once("listening", resolve));
  const upstreamPort = (upstream.address() as AddressInfo).port;
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const events: LoggedEvent[] = [];
  const connections: Connection[] = [];
  const budget = new MemoryBudget(Infinity);
  const counters = new EndpointCounters();
  const runs: Promise<void>[] = [];

  async function serve(peer: Deno.TcpConn): Promise<void> {
    const fromPeer = await readHead(peer);
    const inner = await Deno.connect({ hostname: "127.0.0.1", port: upstreamPort });
    // As the listener and the dial do.
    for (const socket of [peer, inner]) socket.setNoDelay(true);
    await writeAll(inner, new TextEncoder().encode(requestHead()));
    const fromEndpoint = await readHead(inner);
    await writeAll(
      peer,
      new TextEncoder().encode("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
    );
    const check = new FrameCheck({ ...LIMITS, ...limits }, counters.messagesIn);
    const outbox = new Outbox(peer, counters, (bytes) => budget.change(bytes));
    const way = new Relayed({
      check,
      outbox,
      inner,
      fromEndpoint,
      sizes: counters.messagesOut,
      maxMessageSize: 2 ** 24,
      upstream: "ws",
    });
    const connection = new Connection({
      id: `${connections.length}`,
      endpoint: "relay",
      address: "127.0.0.1",
      peer,
      outbox,
      way,
      fromPeer,
      limits: { ...LIMITS, ...limits },
      budget,
      fixedBytes: 0,
      counters,
      onViolation: () => {},
      log: (event, fields: LogFields = {}) => events.push({ event, fields }),
    });
    connections.push(connection);
    await connection.run();
  }

  const accepting = (async () => {
    for (;;) {
      try {
        runs.push(serve(await listener.accept()));
      } catch (error) {
        if (error instanceof Deno.errors.BadResource) return;
        throw error;
      }
    }
  })();
  const sweeper = setInterval(() => {
    for (const connection of connections) connection.sweep(performance.now());
  }, 25);
  return {
    port: listener.addr.port,
    events,
    connections,
    budget,
    upstream,
    async stop() {
      listener.close();
      await accepting;
      for (const connection of connections) connection.cut();
      for (const socket of upstream.clients) socket.terminate();
      await Promise.all(runs);
      clearInterval(sweeper);
      await new Promise((resolve) => upstream.close(resolve));
    },
  };
}

/** Reads a head, and returns what came after it. */
async function readHead(conn: Deno.TcpConn): Promise<Uint8Array> {
  const bytes = new Uint8Array(4096);
  for (let end = 0;;) {
    const size = await conn.read(bytes.subarray(end));
    if (size === null) throw new Error("Cannot read a head: the connection ended");
    end += size;
    const text = new TextDecoder("latin1").decode(bytes.subarray(0, end));
    const headEnd = text.indexOf("\r\n\r\n");
    if (headEnd >= 0) return bytes.slice(headEnd + 4, end);
  }
}
