// Who has come and is no connection yet, and whom of them to let go when there is no place for another.

/**
 * Newcomers by client. Each call takes the same time, however many there are: they come when there is none to lose.
 */
export class Newcomers<Newcomer> {
  readonly #keys = new Map<Newcomer, string>();
  /** Those of each client, in the order in which they came. */
  readonly #byClient = new Map<string, Set<Newcomer>>();
  /** The clients that have so many, by that number. */
  readonly #clients = new Map<number, Set<string>>();
  #most = 0;

  /** How many there are. */
  get size(): number {
    return this.#keys.size;
  }

  /** How many there are of a client. */
  countOf(client: string): number {
    return this.#byClient.get(client)?.size ?? 0;
  }

  /** Takes one in that is not there. */
  add(newcomer: Newcomer, client: string): void {
    this.#keys.set(newcomer, client);
    let own = this.#byClient.get(client);
    if (own === undefined) this.#byClient.set(client, own = new Set());
    own.add(newcomer);
    this.#file(client, own.size - 1, own.size);
    this.#most = Math.max(this.#most, own.size);
  }

  /** One that is there belongs to this client, and is its newest if it did not before. */
  move(newcomer: Newcomer, client: string): void {
    const before = this.#keys.get(newcomer);
    if (before === undefined || before === client) return;
    this.delete(newcomer);
    this.add(newcomer, client);
  }

  /** Takes one out; returns whether it was there. */
  delete(newcomer: Newcomer): boolean {
    const client = this.#keys.get(newcomer);
    if (client === undefined) return false;
    this.#keys.delete(newcomer);
    const own = this.#byClient.get(client)!;
    own.delete(newcomer);
    this.#file(client, own.size + 1, own.size);
    if (own.size === 0) this.#byClient.delete(client);
    if (!this.#clients.has(this.#most)) this.#most--;
    return true;
  }

  /** Takes out the oldest of the client that has most, and returns it. */
  takeWorst(): Newcomer | undefined {
    const [client] = this.#clients.get(this.#most) ?? [];
    if (client === undefined) return undefined;
    const [oldest] = this.#byClient.get(client)!;
    this.delete(oldest!);
    return oldest;
  }

  #file(client: string, before: number, now: number): void {
    const old = this.#clients.get(before);
    old?.delete(client);
    if (old?.size === 0) this.#clients.delete(before);
    if (now === 0) return;
    const clients = this.#clients.get(now);
    if (clients === undefined) this.#clients.set(now, new Set([client]));
    else clients.add(client);
  }
}
