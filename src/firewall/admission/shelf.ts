// Things in the order in which they came, of which each can be taken out: every call takes the same time.

/** What can be on a shelf, on one at a time; only the shelf changes these. */
export interface Shelved<Item extends Shelved<Item>> {
  shelf: Shelf<Item> | undefined;
  older: Item | undefined;
  newer: Item | undefined;
}

/** The oldest comes first. A `Set` takes ever longer to find its first when that is taken out again and again. */
export class Shelf<Item extends Shelved<Item>> {
  size = 0;
  oldest: Item | undefined;
  #newest: Item | undefined;

  /** Puts one there that is on no shelf. */
  add(item: Item): void {
    item.shelf = this;
    item.older = this.#newest;
    item.newer = undefined;
    if (this.#newest === undefined) this.oldest = item;
    else this.#newest.newer = item;
    this.#newest = item;
    this.size++;
  }

  /** Takes one away that is there. */
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
