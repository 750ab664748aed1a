// A TCP connection from a chosen address of this machine, by which tests are several clients at once.

import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { RawClient } from "./raw_client.ts";

/** What a {@linkcode RawClient} speaks over. */
class BoundSocket {
  readonly #socket: Socket;
  #wake: (() => void) | undefined;
  #ended = false;
  #error: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    const wake = () => this.#wake?.();
    socket.on("readable", wake);
    socket.on("end", () => {
      this.#ended = true;
      wake();
    });
    socket.on("error", (error) => {
      this.#error = error;
      wake();
    });
    socket.on("close", () => {
      this.#ended = true;
      wake();
    });
  }

  async read(bytes: Uint8Array): Promise<number | null> {
    for (;;) {
      const size = Math.min(bytes.length, this.#socket.readableLength);
      // Without anything there, a read is what brings the end to light.
      const chunk = this.#socket.read(size === 0 ? undefined : size) as Uint8Array | null;
      if (chunk !== null) {
        bytes.set(chunk);
        return chunk.length;
      }
      // A reset is an end like any other for a test.
      if (this.#ended || this.#error !== undefined) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve(bytes.length));
    });
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve) => this.#socket.end(() => resolve()));
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** The server that a client expects behind TLS. */
export interface TlsServer {
  readonly name: string;
  /** The certificate of its authority, in PEM. */
  readonly ca: string;
}

/**
 * Connects to `port` on 127.0.0.1 from `localAddress`, which on Linux may be any of 127.0.0.0/8, and sends nothing but,
 * with `tls`, what makes the connection a secure one.
 */
export async function openFrom(localAddress: string, port: number, tls?: TlsServer): Promise<RawClient> {
  const target = { host: "127.0.0.1", port, localAddress };
  const socket = tls === undefined
    ? connect(target)
    : connectTls({ ...target, servername: tls.name, ca: tls.ca, ALPNProtocols: ["http/1.1"] });
  socket.pause();
  await new Promise<void>((resolve, reject) => {
    socket.once(tls === undefined ? "connect" : "secureConnect", resolve);
    socket.once("error", reject);
  });
  return new RawClient(new BoundSocket(socket));
}
