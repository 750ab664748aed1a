// Tells the service manager (systemd) the state of the program: ready, reloading, stopping, alive. See sd_notify(3).

/** How to reach a service manager. */
export interface ServiceManagerOptions {
  /** Where it listens, as in NOTIFY_SOCKET: a path, or `@` and a name in Linux's abstract namespace. */
  readonly address: string;
  /** The path of the sending socket; one that a killed process left there is replaced. */
  readonly ownPath: string;
  /** Called with the reason, the first time that something can't be sent. */
  readonly onFailure: (reason: string) => void;
}

/** The longest that a timer can wait, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const encoder = new TextEncoder();

/** The service manager that started the program. Failures here do not harm the program. */
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

  /** Sends nothing any more. */
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
  // The runtime can only send from a named socket, and has this function only with --unstable-net.
  if (Deno.listenDatagram === undefined) throw new Error("run with --unstable-net");
  removeSocket(path);
  return Deno.listenDatagram({ transport: "unixpacket", path });
}

function removeSocket(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // Not there, or not ours to remove: binding reports that, and at the end it does not matter.
  }
}
