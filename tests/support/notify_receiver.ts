// What a service manager does with NOTIFY_SOCKET: it listens, and reads what programs report.

/** How long a message may take, in milliseconds. */
const TIMEOUT_MS = 20_000;

/** A socket that messages of sd_notify(3) are sent to. */
export class NotifyReceiver implements Disposable {
  /** What NOTIFY_SOCKET would say. */
  readonly address: string;
  readonly #socket: Deno.DatagramConn;
  #isClosed = false;

  /** @param address a path, or `@` and a name in the abstract namespace */
  constructor(address: string) {
    this.address = address;
    this.#socket = Deno.listenDatagram({ transport: "unixpacket", path: address.replace(/^@/, "\0") });
  }

  /** The assignments of the next message. */
  async next(): Promise<readonly string[]> {
    const timer = setTimeout(() => this[Symbol.dispose](), TIMEOUT_MS);
    try {
      const [bytes] = await this.#socket.receive();
      return new TextDecoder().decode(bytes).split("\n");
    } catch (cause) {
      throw new Error("Cannot wait for a message to the service manager: none came", { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  /** The next message that is no sign of life. */
  async nextState(): Promise<readonly string[]> {
    for (;;) {
      const message = await this.next();
      if (message[0] !== "WATCHDOG=1") return message;
    }
  }

  [Symbol.dispose](): void {
    if (!this.#isClosed) this.#socket.close();
    this.#isClosed = true;
  }
}
