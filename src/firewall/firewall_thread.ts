// The firewall as the main thread sees it: it runs in a thread of its own, so that neither side waits for the other.

import { StartError } from "../core/errors.ts";
import type { CloseReason } from "../protocol/close_code.ts";
import type { FirewallMetrics } from "./counters.ts";
import type { BannedClient, Firewall, FirewallOptions, PublicAddress } from "./firewall.ts";
import type { FirewallMethod, FromFirewall, StartMessage, ToFirewall } from "./firewall_messages.ts";

/** How long to wait before starting again after a crash, in milliseconds. */
const RESTART_DELAY_MS = 200;

interface Call {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** A firewall in a thread of its own. If that thread crashes, its connections are lost and it is started again. */
export class FirewallThread implements Record<FirewallMethod, unknown> {
  readonly #options: FirewallOptions;
  readonly #calls = new Map<number, Call>();
  #worker!: Worker;
  #addresses: readonly PublicAddress[] = [];
  #lastCall = 0;
  #isRunning = false;

  private constructor(options: FirewallOptions) {
    this.#options = options;
  }

  /**
   * Starts a firewall; it accepts connections when this resolves.
   *
   * @throws {StartError} as the constructor of `Firewall`.
   */
  static async start(options: FirewallOptions): Promise<FirewallThread> {
    const thread = new FirewallThread(options);
    try {
      await thread.#start(options.endpoints);
    } catch (error) {
      thread.#worker.terminate();
      throw error;
    }
    return thread;
  }

  /** As `Firewall.addresses`. */
  get addresses(): readonly PublicAddress[] {
    return this.#addresses;
  }

  /** Whether the thread accepts connections: not while it is started again after a crash, nor once it has drained. */
  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** As `Firewall.metrics`. */
  async metrics(): Promise<FirewallMetrics> {
    return await this.#call("metrics", []) as FirewallMetrics;
  }

  /** As `Firewall.violation`. */
  violation(address: string): void {
    void this.#call("violation", [address]);
  }

  /** As `Firewall.reload`. */
  async reload(): Promise<void> {
    await this.#call("reload", []);
  }

  /** As `Firewall.bans`. */
  async bans(): Promise<readonly BannedClient[]> {
    return await this.#call("bans", []) as readonly BannedClient[];
  }

  /** As `Firewall.ban`. */
  async ban(address: string, forMs: number): Promise<boolean> {
    return await this.#call("ban", [address, forMs]) as boolean;
  }

  /** As `Firewall.unban`. */
  async unban(address: string): Promise<boolean> {
    return await this.#call("unban", [address]) as boolean;
  }

  /** As `Firewall.drain`; the thread has ended when this resolves. */
  async drain(close: CloseReason, timeoutMs: number): Promise<void> {
    await this.#call("drain", [close, timeoutMs]);
    this.#isRunning = false;
    this.#worker.terminate();
  }

  async #start(endpoints: StartMessage["endpoints"]): Promise<void> {
    this.#worker = new Worker(new URL("./firewall_worker.ts", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<FromFirewall>) => this.#receive(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#crashed(event.message);
    };
    const { settings } = this.#options;
    const addresses = await this.#send((id) => ({ kind: "start", id, start: { settings, endpoints } }));
    this.#addresses = addresses as readonly PublicAddress[];
    this.#isRunning = true;
  }

  #call<Method extends FirewallMethod>(method: Method, args: Parameters<Firewall[Method]>): Promise<unknown> {
    // The union of all calls can't be built from a method that is only known by its type.
    return this.#send((id) => ({ kind: "call", id, method, args }) as ToFirewall);
  }

  #send(message: (id: number) => ToFirewall): Promise<unknown> {
    const id = ++this.#lastCall;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.#worker.postMessage(message(id));
    });
  }

  #receive(message: FromFirewall): void {
    switch (message.kind) {
      case "log":
        return this.#options.log(message.event, message.fields);
      case "held":
        return void this.#answer(message.id, message.connections);
      case "result":
        this.#calls.get(message.id)?.resolve(message.value);
        break;
      case "error":
        this.#calls.get(message.id)?.reject(
          message.isStart ? new StartError(message.message) : new Error(message.message),
        );
    }
    this.#calls.delete(message.id);
  }

  async #answer(id: number, connections: readonly string[]): Promise<void> {
    const bytes = await this.#options.heldByEndpoint(connections);
    const message: ToFirewall = { kind: "held", id, bytes };
    this.#worker.postMessage(message);
  }

  /** Before it has ever started, a crash is the failure of the start; afterwards it is started again on the same ports. */
  #crashed(reason: string): void {
    this.#isRunning = false;
    this.#worker.terminate();
    for (const call of this.#calls.values()) call.reject(new Error(`The firewall has crashed: ${reason}`));
    this.#calls.clear();
    if (this.#addresses.length === 0) return;
    this.#options.log("firewall.crashed", { error: reason });
    setTimeout(() => this.#restart(), RESTART_DELAY_MS);
  }

  async #restart(): Promise<void> {
    const { endpoints, log } = this.#options;
    try {
      await this.#start(endpoints.map((endpoint, i) => ({ ...endpoint, port: this.#addresses[i]!.port })));
      log("firewall.restarted");
    } catch (error) {
      log("firewall.restart_failed", { error: String(error) });
      this.#worker.terminate();
      setTimeout(() => this.#restart(), RESTART_DELAY_MS);
    }
  }
}
