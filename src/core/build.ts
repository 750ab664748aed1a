// How the program was built: what stands here is true of a source tree. A build has a module of its own with the same
// exports, to which the entry "wsward/build" leads in its copy of the import map: `deno bundle --import-map FILE`.

/** The commit that was built; undefined if the source tree itself may know it. */
export const COMMIT: string | undefined = undefined;

/** How it was built, in a word or two. */
export const BUILT_BY: string = "deno run";
