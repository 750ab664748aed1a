// What peers make the process hold, all together: who has to wait, and who is let go, when it becomes too much.

/** Something that holds memory on a peer's behalf. */
export interface Holder {
  /** Bytes that it holds now. */
  readonly heldBytes: number;
  /** Lets go: `heldBytes` is 0 when it returns. */
  shed(): void;
  /** Called when a wait that `mayGrow` has asked for may be over. */
  resume(): void;
}

/** The share of the limit from which on holders take turns. */
const TIGHT_SHARE = 1 / 128;

/**
 * A limit on the bytes that all holders together may hold.
 *
 * Long before it is reached, holders have to take turns: one of them grows until it has let go, the others wait, which
 * costs an honest one a moment and makes many attackers as harmless as one. At the limit the largest is shed.
 */
export class MemoryBudget {
  readonly #limitBytes: number;
  readonly #holders = new Set<Holder>();
  readonly #waiting = new Set<Holder>();
  /** The holder whose turn it is, and what it held at the last sweep. */
  #leader: Holder | undefined;
  #leaderBytes = 0;
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
    if (!this.#holders.delete(holder)) return;
    this.#waiting.delete(holder);
    if (this.#leader === holder) this.#leader = undefined;
    this.change(-holder.heldBytes);
  }

  /** A holder holds `bytes` more, or less if negative; sheds until the limit is kept. */
  change(bytes: number): void {
    this.#usedBytes += bytes;
    while (this.#usedBytes > this.#limitBytes) {
      const worst = largestOf(this.#holders);
      if (worst === undefined) break;
      worst.shed();
    }
    if (bytes < 0 && this.#waiting.size > 0) this.#relieve();
  }

  /** Whether a holder may hold more now. If not, it is resumed when it may ask again. */
  mayGrow(holder: Holder): boolean {
    if (!this.#isTight) return true;
    if (this.#leader === undefined || this.#leader.heldBytes === 0) this.#leader = holder;
    if (this.#leader === holder) return true;
    this.#waiting.add(holder);
    return false;
  }

  /** Gives the turn to another one when whose turn it is has made no use of it since the last sweep. */
  sweep(): void {
    if (this.#leader === undefined) return;
    if (this.#leader.heldBytes === this.#leaderBytes) this.#nextTurn();
    this.#leaderBytes = this.#leader?.heldBytes ?? 0;
  }

  get #isTight(): boolean {
    return this.#usedBytes > this.#limitBytes * TIGHT_SHARE;
  }

  #relieve(): void {
    if (this.#isTight) {
      if (this.#leader === undefined || this.#leader.heldBytes === 0) this.#nextTurn();
      return;
    }
    this.#leader = undefined;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const holder of waiting) holder.resume();
  }

  /** The largest of those that wait is the next: it is the nearest to letting go. */
  #nextTurn(): void {
    this.#leader = largestOf(this.#waiting);
    if (this.#leader === undefined) return;
    this.#waiting.delete(this.#leader);
    this.#leader.resume();
  }
}

function largestOf(holders: Iterable<Holder>): Holder | undefined {
  let largest: Holder | undefined;
  let most = 0;
  for (const holder of holders) {
    if (holder.heldBytes > most) {
      largest = holder;
      most = holder.heldBytes;
    }
  }
  return largest;
}
