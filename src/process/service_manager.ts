// Tells the service manager (systemd) how the program is: ready, reloading, stopping, alive. See sd_notify(3).

/** What a service manager is told with. */
export interface ServiceManagerOptions {
  /** Where it listens, as in NOTIFY_SOCKET: a path, or `@` and a name in Linux's abstract namespace. */
  readonly address: string;
  /** Where the socket is made that is sent from; what was left there by a killed process is replaced. */
  readonly ownPath: string;
  /** Is called with why, the first time that something can't be told. */
  readonly onFailure: (reason: string) => void;
}

/** The longest that a timer can wait, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const encoder = new TextEncoder();

/** The one who started the program and wants to know how it is. Nothing that goes wrong here harms the program. */
export class ServiceManager {
  readonly #options: ServiceManagerOptions;
  readonly #target: Deno.UnixAddr;
  #socket: Deno.DatagramConn | undefined;
  #lastSent: Promise<unknown> = Promise.resolve();
  /** After the first failure, or the end. */
  #isQuiet = false;
  #watchdog: ReturnType<typeof setInterval> | undefined;

  constructor(options: ServiceManagerOptions) {
    this.#options = options;
    const path = options.address.replace(/^@/, "\0");
    this.#target = { transport: "unixpacket", path };
    try {
      this.#socket = bind(options.ownPath);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Sends assignments such as `READY=1`, in the order of the calls; does not wait until they have been read. */
  notify(...assignments: readonly string[]): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    const message = encoder.encode(assignments.join("\n"));
    // One after the other, because a socket that is sending refuses to send more.
    this.#lastSent = this.#lastSent.then(() => socket.send(message, this.#target))
      .catch((error) => this.#fail(error));
  }

  /**
   * Sends `WATCHDOG=1` twice within each `timeoutUsec`, the microseconds in WATCHDOG_USEC, as long as the event loop
   * turns, in which everything else happens, too. Text that is no such number is none at all.
   */
  watch(timeoutUsec: string): void {
    if (!/^[1-9]\d*$/.test(timeoutUsec)) return;
    const intervalMs = Math.min(Number(timeoutUsec) / 2000, MAX_TIMER_MS);
    this.#watchdog = setInterval(() => this.notify("WATCHDOG=1"), intervalMs);
  }

  /** Says nothing any more. */
  close(): void {
    this.#isQuiet = true;
    clearInterval(this.#watchdog);
    this.#socket?.close();
    this.#socket = undefined;
    removeSocket(this.#options.ownPath);
  }

  #fail(error: unknown): void {
    if (this.#isQuiet) return;
    this.#isQuiet = true;
    this.#options.onFailure(error instanceof Error ? error.message : String(error));
  }
}

function bind(path: string): Deno.DatagramConn {
  // The runtime can send from a socket with a name only, and has this function with --unstable-net only.
  if (Deno.listenDatagram === undefined) throw new Error("run with --unstable-net");
  removeSocket(path);
  return Deno.listenDatagram({ transport: "unixpacket", path });
}

function removeSocket(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // Not there, or not ours to remove: to bind says so, and at the end nobody wants to know.
  }
}
