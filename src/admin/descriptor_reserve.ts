// File descriptors that are held open for nothing, to be let go when there are no others.

/** How many are held: one for each administrator's connection that comes while there are no others. */
const RESERVED_DESCRIPTORS = 4;

/** A reserve of descriptors; empty without a path that can be opened. */
export class DescriptorReserve {
  readonly #path: string | undefined;
  readonly #held: Deno.FsFile[] = [];

  /** @param path a file or a folder that may be read */
  constructor(path: string | undefined) {
    this.#path = path;
    this.restore();
  }

  /** Lets one go; false if there is none. It is free until somebody takes it: use it before anything else happens. */
  release(): boolean {
    const file = this.#held.pop();
    file?.close();
    return file !== undefined;
  }

  /** Takes back as many as there are to be had. */
  restore(): void {
    if (this.#path === undefined) return;
    try {
      while (this.#held.length < RESERVED_DESCRIPTORS) this.#held.push(Deno.openSync(this.#path));
    } catch {
      // There are no others now, or the folder may not be read: the listener does without.
    }
  }

  /** Lets all of them go for good. */
  close(): void {
    while (this.release());
  }
}
