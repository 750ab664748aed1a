// Peers that are no connection yet, and which of them to let go when there is no place for another.

import { Shelf, type Shelved } from "./shelf.ts";

interface Place<Newcomer> extends Shelved<Place<Newcomer>> {
  readonly newcomer: Newcomer;
  readonly client: Client<Newcomer>;
}

interface Client<Newcomer> extends Shelved<Client<Newcomer>> {
  readonly key: string;
  readonly places: Shelf<Place<Newcomer>>;
}

/**
 * Newcomers by client. Each call takes constant time: most calls come in a flood.
 */
export class Newcomers<Newcomer> {
  readonly #places = new Map<Newcomer, Place<Newcomer>>();
  readonly #clients = new Map<string, Client<Newcomer>>();
  /** Clients by how many newcomers they have. */
  readonly #shelves = new Map<number, Shelf<Client<Newcomer>>>();
  #most = 0;

  /** How many there are. */
  get size(): number {
    return this.#places.size;
  }

  /** How many there are of a client. */
  countOf(client: string): number {
    return this.#clients.get(client)?.places.size ?? 0;
  }

  /** Takes one in that is not there. */
  add(newcomer: Newcomer, key: string): void {
    const links = { shelf: undefined, older: undefined, newer: undefined };
    let client = this.#clients.get(key);
    if (client === undefined) this.#clients.set(key, client = { key, places: new Shelf(), ...links });
    const place = { newcomer, client, ...links };
    this.#places.set(newcomer, place);
    client.places.add(place);
    this.#shelve(client, client.places.size - 1);
    this.#most = Math.max(this.#most, client.places.size);
  }

  /** A newcomer belongs to this client from now on, and is its newest if that is another client than before. */
  move(newcomer: Newcomer, key: string): void {
    const before = this.#places.get(newcomer)?.client.key;
    if (before === undefined || before === key) return;
    this.delete(newcomer);
    this.add(newcomer, key);
  }

  /** Takes one out; returns whether it was there. */
  delete(newcomer: Newcomer): boolean {
    const place = this.#places.get(newcomer);
    if (place === undefined) return false;
    const { client } = place;
    this.#places.delete(newcomer);
    client.places.delete(place);
    this.#shelve(client, client.places.size + 1);
    if (client.places.size === 0) this.#clients.delete(client.key);
    if (!this.#shelves.has(this.#most)) this.#most--;
    return true;
  }

  /** Removes the oldest newcomer of the client that has most, and returns it. */
  takeWorst(): Newcomer | undefined {
    const oldest = this.#shelves.get(this.#most)?.oldest?.places.oldest;
    if (oldest === undefined) return undefined;
    this.delete(oldest.newcomer);
    return oldest.newcomer;
  }

  /** Moves a client that had `before` newcomers to the shelf for its number now. */
  #shelve(client: Client<Newcomer>, before: number): void {
    const old = client.shelf;
    old?.delete(client);
    if (old?.size === 0) this.#shelves.delete(before);
    const now = client.places.size;
    if (now === 0) return;
    let shelf = this.#shelves.get(now);
    if (shelf === undefined) this.#shelves.set(now, shelf = new Shelf());
    shelf.add(client);
  }
}
