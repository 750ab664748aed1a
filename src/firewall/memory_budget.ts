// What peers make the process hold, all together, and who is let go when it is too much.

/** Something that holds memory on a peer's behalf. */
export interface Holder {
  /** Bytes that it holds now. */
  readonly heldBytes: number;
  /** Lets go: `heldBytes` is 0 when it returns. */
  shed(): void;
}

/** A limit on the bytes that all holders together may hold; the largest one is shed first. */
export class MemoryBudget {
  readonly #limitBytes: number;
  readonly #holders = new Set<Holder>();
  #usedBytes = 0;

  /** @param limitBytes `Infinity` for no limit. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Bytes held by all together. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Counts a holder in; it holds nothing yet. */
  add(holder: Holder): void {
    this.#holders.add(holder);
  }

  /** Counts a holder out, with what it holds. */
  remove(holder: Holder): void {
    if (this.#holders.delete(holder)) this.#usedBytes -= holder.heldBytes;
  }

  /** A holder holds `bytes` more, or less if negative; sheds until the limit is kept. */
  change(bytes: number): void {
    this.#usedBytes += bytes;
    while (this.#usedBytes > this.#limitBytes) {
      const worst = this.#worst();
      if (worst === undefined) return;
      worst.shed();
    }
  }

  #worst(): Holder | undefined {
    let worst: Holder | undefined;
    let most = 0;
    for (const holder of this.#holders) {
      if (holder.heldBytes > most) {
        worst = holder;
        most = holder.heldBytes;
      }
    }
    return worst;
  }
}
