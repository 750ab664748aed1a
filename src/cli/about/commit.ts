// Reads the commit of a source tree out of git's own files, without git.

import { resolve } from "node:path";

/**
 * The hash of the commit that is checked out in the folder `root`; undefined if it is not the top of a repository, or if
 * the files may not be read: no permission is asked for.
 */
export function readCommit(root: string): string | undefined {
  // In a worktree or a submodule it is a file that says where the folder is (gitrepository-layout, ".git").
  const pointer = read(resolve(root, ".git"));
  const folder = resolve(root, pointer?.replace(/^gitdir: /, "") ?? ".git");
  const head = read(resolve(folder, "HEAD"));
  const ref = head?.replace(/^ref: /, "");
  if (ref === undefined || ref === head) return asHash(head);
  const common = resolve(folder, read(resolve(folder, "commondir")) ?? "");
  return asHash(read(resolve(common, ref)) ?? findPacked(read(resolve(common, "packed-refs")) ?? "", ref));
}

/** A line is a hash, a space and the name of a ref. */
function findPacked(refs: string, ref: string): string | undefined {
  return refs.split("\n").find((line) => line.endsWith(` ${ref}`))?.split(" ", 1)[0];
}

/** SHA-1 or SHA-256, or nothing. */
function asHash(text: string | undefined): string | undefined {
  return /^([0-9a-f]{40}|[0-9a-f]{64})$/.exec(text ?? "")?.[0];
}

/** The text of a file without the space around it; undefined if there is none or it may not be read. */
function read(path: string): string | undefined {
  try {
    const { state } = Deno.permissions.querySync({ name: "read", path });
    return state === "granted" ? Deno.readTextFileSync(path).trim() : undefined;
  } catch {
    return undefined;
  }
}
