// A server whose answers a test gives byte by byte.

import { expectLoss } from "../../src/firewall/byte_socket.ts";

/** One connection to the server. */
export class FakeRedisConnection {
  readonly #conn: Deno.Conn;
  #text = "";

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  /** The next command that came, undefined at the end. */
  async command(): Promise<readonly string[] | undefined> {
    for (;;) {
      const command = this.#takeCommand();
      if (command !== undefined) return command;
      const buffer = new Uint8Array(65_536);
      let size: number | null;
      try {
        size = await this.#conn.read(buffer);
      } catch (error) {
        expectLoss(error);
        size = null;
      }
      if (size === null) return undefined;
      // One character a byte, as the sizes count.
      this.#text += Array.from(buffer.subarray(0, size), (byte) => String.fromCharCode(byte)).join("");
    }
  }

  /** Sends text as it is; false if the other side is gone. */
  async send(text: string | Uint8Array<ArrayBuffer>): Promise<boolean> {
    const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
    try {
      for (let sent = 0; sent < bytes.length;) sent += await this.#conn.write(bytes.subarray(sent));
      return true;
    } catch (error) {
      expectLoss(error);
      return false;
    }
  }

  close(): void {
    try {
      this.#conn.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  #takeCommand(): readonly string[] | undefined {
    const count = /^\*(\d+)\r\n/.exec(this.#text);
    if (count === null) return undefined;
    let at = count[0].length;
    const parts: string[] = [];
    for (let i = 0; i < Number(count[1]); i++) {
      const header = /^\$(\d+)\r\n/.exec(this.#text.slice(at, at + 20));
      if (header === null) return undefined;
      at += header[0].length;
      const size = Number(header[1]);
      if (this.#text.length < at + size + 2) return undefined;
      parts.push(this.#text.slice(at, at + size));
      at += size + 2;
    }
    this.#text = this.#text.slice(at);
    return parts;
  }
}

/** A server on a free port; `serve` is called for each connection. */
export class FakeRedis {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #connections: FakeRedisConnection[] = [];
  readonly #ended: Promise<void>;

  constructor(serve: (connection: FakeRedisConnection, index: number) => Promise<unknown>) {
    this.#ended = (async () => {
      const served: Promise<unknown>[] = [];
      for await (const conn of this.#listener) {
        const connection = new FakeRedisConnection(conn);
        this.#connections.push(connection);
        served.push(serve(connection, this.#connections.length - 1));
      }
      await Promise.all(served);
    })();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) connection.close();
    await this.#ended;
  }
}
