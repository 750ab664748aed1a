// How the program was built. These values are for a source tree; a build puts a module of its own in place of this one,
// by the entry "wsward/build" of its import map.

/** The commit that was built; undefined if the source tree itself may know it. */
export const COMMIT: string | undefined = undefined;

/** How it was built, in a word or two. */
export const BUILT_BY: string = "deno run";
