// The memory that peers make the process hold: who has to wait, and who is let go, when it becomes too much.

/** Something that holds memory on a peer's behalf. */
export interface Holder {
  /** Bytes that it holds now and could free. */
  readonly heldBytes: number;
  /** Bytes received and sent so far, which show whether it makes progress; only grows. */
  readonly movedBytes: number;
  /** Frees what it holds: at once, or soon if it is being written. Called once. */
  shed(): void;
  /** Called when a wait that `mayGrow` has asked for may be over. */
  resume(): void;
}

/** A message of up to this many bytes never waits because of what others hold. */
export const SMALL_MESSAGE = 65_536;
/** The share of the limit that idle connections may cost; the rest is for what they hold. */
const FIXED_SHARE = 3 / 4;
/** The share of what is left from which on larger messages take turns, and who makes no progress is let go. */
const TIGHT_SHARE = 3 / 4;
/** How often progress is measured, in milliseconds. */
const SWEEP_MS = 250;
/** Bytes from one sweep to the next below which there was no progress: an eighth of a slow line's. */
const MIN_PROGRESS = 1024;
/** It doubles with every two seconds for which memory stays tight, so many times at most: to 256 KiB a second. */
const MOST_DOUBLINGS = 6;
/** Sweeps without progress after which a large holder is let go while memory is tight: two seconds. */
const MOST_STALLED_SWEEPS = 8;

/** What is known of one holder. */
interface Account {
  /** Bytes that it costs as long as it is there, whatever it holds. */
  readonly fixedBytes: number;
  /** `movedBytes` at the last sweep, and the sweeps since there was progress. */
  moved: number;
  stalledSweeps: number;
}

/**
 * A limit on the bytes that all holders together may hold.
 *
 * Near the limit large holders take turns in the order in which they asked: as many at once as there is room for, from
 * one sweep to the next. Holders without progress are shed meanwhile, and are the first to go when the limit is
 * reached. They are not held back before that: only of a holder that may grow can it be known that it does not.
 */
export class MemoryBudget {
  readonly #limitBytes: number;
  readonly #holders = new Map<Holder, Account>();
  /** Those that wait for their turn, in the order in which they asked. */
  readonly #waiting = new Set<Holder>();
  /** Those whose turn it is. */
  readonly #leaders = new Set<Holder>();
  /** Bytes that they held when their turns began. */
  #leaderBytes = 0;
  /** Those that were shed and have not been removed yet. */
  readonly #leaving = new Set<Holder>();
  #usedBytes = 0;
  #fixedBytes = 0;
  /** Sweeps for which memory has been tight. */
  #tightSweeps = 0;
  #sweptMs = -Infinity;

  /** @param limitBytes `Infinity` for no limit. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Bytes held by all together. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Whether there is room for another connection that costs `fixedBytes`. */
  hasPlaceFor(fixedBytes: number): boolean {
    return this.#fixedBytes + fixedBytes <= this.#limitBytes * FIXED_SHARE;
  }

  /** Whether so much is held that large messages have to take turns. */
  get isTight(): boolean {
    return this.#usedBytes > this.#tightBytes;
  }

  get #tightBytes(): number {
    const fixed = this.#fixedBytes;
    return fixed + (this.#limitBytes - fixed) * TIGHT_SHARE;
  }

  /** Adds a holder, which holds nothing yet but costs `fixedBytes` until it is removed. */
  add(holder: Holder, fixedBytes = 0): void {
    this.#holders.set(holder, { fixedBytes, moved: holder.movedBytes, stalledSweeps: 0 });
    this.#fixedBytes += fixedBytes;
    this.change(fixedBytes);
  }

  /** Removes a holder, with what it still holds. */
  remove(holder: Holder): void {
    const account = this.#holders.get(holder);
    if (account === undefined) return;
    this.#holders.delete(holder);
    this.#waiting.delete(holder);
    this.#leaders.delete(holder);
    this.#leaving.delete(holder);
    this.#fixedBytes -= account.fixedBytes;
    this.change(-holder.heldBytes - account.fixedBytes);
  }

  /**
   * A holder holds `bytes` more, or less if negative. Sheds holders until the limit is kept or nothing is left to free.
   */
  change(bytes: number): void {
    this.#usedBytes += bytes;
    while (this.#usedBytes > this.#limitBytes && this.#stayingBytes() > this.#limitBytes) {
      const worst = this.#worst();
      if (worst === undefined) break;
      this.#shed(worst);
    }
    if (bytes < 0 && this.#waiting.size > 0 && !this.isTight) this.#resumeAll();
  }

  /** Whether a holder may hold more now. If not, its `resume` is called when it may ask again. */
  mayGrow(holder: Holder): boolean {
    if (!this.isTight || !isLarge(holder) || this.#leaders.has(holder)) return true;
    if (this.#holders.get(holder)!.stalledSweeps > 0) return true;
    if (this.#waiting.size === 0 && this.#mayLead(holder)) return true;
    this.#waiting.add(holder);
    return false;
  }

  /** Ends turns, and sheds holders without progress. Called again and again with the time in milliseconds. */
  sweep(nowMs: number): void {
    if (nowMs - this.#sweptMs < SWEEP_MS) return;
    this.#sweptMs = nowMs;
    this.#tightSweeps = this.isTight ? this.#tightSweeps + 1 : 0;
    const doublings = Math.min(MOST_DOUBLINGS, Math.floor(this.#tightSweeps / MOST_STALLED_SWEEPS));
    const minProgress = MIN_PROGRESS * 2 ** doublings;
    const stuck: Holder[] = [];
    for (const [holder, account] of this.#holders) {
      const moved = holder.movedBytes;
      // A holder that waits for its turn can't make progress.
      const isStalled = moved - account.moved < minProgress && !this.#waiting.has(holder);
      account.moved = moved;
      account.stalledSweeps = isStalled ? account.stalledSweeps + 1 : 0;
      if (this.#tightSweeps > 0 && account.stalledSweeps >= MOST_STALLED_SWEEPS && isLarge(holder)) {
        stuck.push(holder);
      }
    }
    if (this.#tightSweeps === 0) return;
    stuck.sort((a, b) => b.heldBytes - a.heldBytes);
    for (const holder of stuck) {
      if (this.#stayingBytes() <= this.#tightBytes) break;
      if (!this.#leaving.has(holder)) this.#shed(holder);
    }
    this.#leaders.clear();
    this.#leaderBytes = 0;
    for (const holder of this.#waiting) {
      if (!this.#mayLead(holder)) break;
      this.#waiting.delete(holder);
      holder.resume();
    }
  }

  /** Gives it a turn if all leaders could hold twice as much, or if it is the only one. */
  #mayLead(holder: Holder): boolean {
    const bytes = this.#leaderBytes + holder.heldBytes;
    if (this.#leaders.size > 0 && bytes > this.#limitBytes - this.#usedBytes) return false;
    this.#leaders.add(holder);
    this.#leaderBytes = bytes;
    return true;
  }

  /** Bytes held, without those of holders being shed, which are freed when their write is dropped. */
  #stayingBytes(): number {
    let bytes = this.#usedBytes;
    for (const holder of this.#leaving) bytes -= holder.heldBytes;
    return bytes;
  }

  /** The largest of the holders without progress since the last sweep, or else of all. */
  #worst(): Holder | undefined {
    let worst: Holder | undefined;
    let most = 0;
    let isStalled = false;
    for (const [holder, account] of this.#holders) {
      if (this.#leaving.has(holder)) continue;
      const held = holder.heldBytes;
      const stalls = account.stalledSweeps > 0 && isLarge(holder);
      if (held > 0 && (stalls !== isStalled ? stalls : held > most)) {
        worst = holder;
        most = held;
        isStalled = stalls;
      }
    }
    return worst;
  }

  #shed(holder: Holder): void {
    this.#leaving.add(holder);
    holder.shed();
  }

  #resumeAll(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const holder of waiting) holder.resume();
  }
}

function isLarge(holder: Holder): boolean {
  return holder.heldBytes > SMALL_MESSAGE;
}
