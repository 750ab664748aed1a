// A queue from whose middle things can be removed, too: every call takes constant time.

/** What can be on a shelf, one at a time. Only the shelf changes these fields. */
export interface Shelved<Item extends Shelved<Item>> {
  shelf: Shelf<Item> | undefined;
  older: Item | undefined;
  newer: Item | undefined;
}

/** The oldest comes first. A `Set` takes ever longer to find its first item when that is removed again and again. */
export class Shelf<Item extends Shelved<Item>> {
  size = 0;
  oldest: Item | undefined;
  #newest: Item | undefined;

  /** Adds an item that is on no shelf. */
  add(item: Item): void {
    item.shelf = this;
    item.older = this.#newest;
    item.newer = undefined;
    if (this.#newest === undefined) this.oldest = item;
    else this.#newest.newer = item;
    this.#newest = item;
    this.size++;
  }

  /** Removes an item that is here. */
  delete(item: Item): void {
    const { older, newer } = item;
    if (older === undefined) this.oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    item.shelf = undefined;
    this.size--;
  }
}
