// What peers make the process hold, all together: who has to wait, and who is let go, when it becomes too much.

/** Something that holds memory on a peer's behalf. */
export interface Holder {
  /** Bytes that it holds now and could let go. */
  readonly heldBytes: number;
  /** Bytes that it has taken in or got rid of so far; only grows, and shows whether it makes progress. */
  readonly movedBytes: number;
  /** Lets go of what it holds. Called once. */
  shed(): void;
  /** Called when a wait that `mayGrow` has asked for may be over. */
  resume(): void;
}

/** A message up to this many bytes is never held up by what others hold. */
export const SMALL_MESSAGE = 65_536;
/** The share of the limit that connections may cost by being there; at least the rest is left for what they hold. */
const FIXED_SHARE = 3 / 4;
/** The share of what is left from which on larger messages take turns, and who makes no progress is let go. */
const TIGHT_SHARE = 3 / 4;
/** How often progress is measured, in milliseconds. */
const SWEEP_MS = 250;
/** Bytes from one sweep to the next below which there was no progress: an eighth of a slow line's. */
const MIN_PROGRESS = 1024;
/** Sweeps without progress after which a large holder is let go while memory is tight: two seconds. */
const MOST_STALLED_SWEEPS = 8;

/** What is known of one holder. */
interface Account {
  /** Bytes that it costs as long as it is there, whatever it holds. */
  readonly fixedBytes: number;
  /** `movedBytes` at the last sweep, and the sweeps since there was progress. */
  moved: number;
  stalledSweeps: number;
  isShed: boolean;
}

/**
 * A limit on the bytes that all holders together may hold.
 *
 * Near the limit large holders take turns in the order in which they asked: one of them grows for as long as it makes
 * progress. Who sits on memory without progress is shed meanwhile, and first of all when the limit is reached.
 */
export class MemoryBudget {
  readonly #limitBytes: number;
  readonly #holders = new Map<Holder, Account>();
  /** Those that wait for their turn, in the order in which they asked. */
  readonly #waiting = new Set<Holder>();
  /** The holder whose turn it is. */
  #leader: Holder | undefined;
  #usedBytes = 0;
  #fixedBytes = 0;
  #sweptMs = -Infinity;

  /** @param limitBytes `Infinity` for no limit. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Bytes held by all together. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Whether another connection may be let in that costs `fixedBytes`. */
  hasPlaceFor(fixedBytes: number): boolean {
    return this.#fixedBytes + fixedBytes <= this.#limitBytes * FIXED_SHARE;
  }

  /** Whether so much is held that large messages have to take turns. */
  get isTight(): boolean {
    const fixed = this.#fixedBytes;
    return this.#usedBytes - fixed > (this.#limitBytes - fixed) * TIGHT_SHARE;
  }

  /** Counts a holder in: it holds nothing yet, but costs `fixedBytes` until it is removed. */
  add(holder: Holder, fixedBytes = 0): void {
    this.#holders.set(holder, { fixedBytes, moved: holder.movedBytes, stalledSweeps: 0, isShed: false });
    this.#fixedBytes += fixedBytes;
    this.change(fixedBytes);
  }

  /** Counts a holder out, with what it still holds. */
  remove(holder: Holder): void {
    const account = this.#holders.get(holder);
    if (account === undefined) return;
    this.#holders.delete(holder);
    this.#waiting.delete(holder);
    if (this.#leader === holder) this.#leader = undefined;
    this.#fixedBytes -= account.fixedBytes;
    this.change(-holder.heldBytes - account.fixedBytes);
  }

  /** A holder holds `bytes` more, or less if negative; sheds until the limit is kept or nothing is left to let go. */
  change(bytes: number): void {
    this.#usedBytes += bytes;
    while (this.#usedBytes > this.#limitBytes) {
      const worst = this.#worst();
      if (worst === undefined) break;
      this.#shed(worst);
    }
    if (bytes < 0 && this.#waiting.size > 0) this.#relieve();
  }

  /** Whether a holder may hold more now. If not, it is resumed when it may ask again. */
  mayGrow(holder: Holder): boolean {
    if (!this.isTight || holder.heldBytes <= SMALL_MESSAGE) return true;
    if (this.#leader === undefined && this.#waiting.size === 0) this.#leader = holder;
    if (this.#leader === holder) return true;
    this.#waiting.add(holder);
    return false;
  }

  /** To be called again and again with the time in milliseconds: turns end, and who makes no progress is let go. */
  sweep(nowMs: number): void {
    if (nowMs - this.#sweptMs < SWEEP_MS) return;
    this.#sweptMs = nowMs;
    if (!this.isTight) return;
    let worst: Holder | undefined;
    for (const [holder, account] of this.#holders) {
      const moved = holder.movedBytes;
      // Who has to wait for a turn can't make progress.
      const isStalled = moved - account.moved < MIN_PROGRESS && !this.#waiting.has(holder);
      account.moved = moved;
      account.stalledSweeps = isStalled ? account.stalledSweeps + 1 : 0;
      if (
        account.stalledSweeps >= MOST_STALLED_SWEEPS && holder.heldBytes > SMALL_MESSAGE && !account.isShed &&
        (worst === undefined || holder.heldBytes > worst.heldBytes)
      ) worst = holder;
    }
    if (worst !== undefined) this.#shed(worst);
    const leader = this.#leader;
    if (leader === undefined) this.#nextTurn();
    else if (this.#holders.get(leader)!.stalledSweeps > 0 || leader.heldBytes <= SMALL_MESSAGE) {
      this.#nextTurn();
    }
  }

  /** Of those that have made no progress since the last sweep, or else of all, the one that holds most. */
  #worst(): Holder | undefined {
    let worst: Holder | undefined;
    let most = 0;
    let isStalled = false;
    for (const [holder, account] of this.#holders) {
      if (account.isShed) continue;
      const held = holder.heldBytes;
      const stalls = account.stalledSweeps > 0 && held > SMALL_MESSAGE;
      if (held > 0 && (stalls !== isStalled ? stalls : held > most)) {
        worst = holder;
        most = held;
        isStalled = stalls;
      }
    }
    return worst;
  }

  #shed(holder: Holder): void {
    this.#holders.get(holder)!.isShed = true;
    holder.shed();
  }

  #relieve(): void {
    if (this.isTight) {
      if (this.#leader === undefined || this.#leader.heldBytes <= SMALL_MESSAGE) this.#nextTurn();
      return;
    }
    this.#leader = undefined;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const holder of waiting) holder.resume();
  }

  #nextTurn(): void {
    const [next] = this.#waiting;
    this.#leader = next;
    if (next === undefined) return;
    this.#waiting.delete(next);
    next.resume();
  }
}
