// Whether a folder is safe from other users: its owner, its mode, and those of all folders above it.

/** Who a process is, where the system has users. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** Links to follow on one path; the system takes more than these for a loop, too. */
const MOST_LINKS = 40;

/** What is needed of a folder's information. */
export type FolderInfo = Pick<Deno.FileInfo, "isDirectory" | "uid" | "gid" | "mode">;

/**
 * Why other users could enter `path` or replace it; undefined if they can't. It must be a folder of `user` with mode
 * 0700, and only `user` and root may be able to rename it or a folder above it (ssh's rule for its files). What the
 * program has no permission to look at counts as safe.
 */
export function findExposure(path: string, user: User): string | undefined {
  const info = Deno.lstatSync(path);
  if (!info.isDirectory) return "it must be a folder, and no link to one";
  if (info.uid !== user.uid) return `it belongs to somebody else (user ${info.uid}, not ${user.uid})`;
  if ((info.mode! & 0o077) !== 0) return "it must be a folder that only its user can enter (mode 0700)";
  let folder = look(() => Deno.realPathSync(path));
  // In a container root can have another number. Who owns "/" may do anything anyway.
  const root = look(() => Deno.lstatSync("/").uid) ?? 0;
  const link = findForeignLink(path, user, root);
  if (link !== undefined) return `others can lead to another one, because the link "${link}" is theirs`;
  while (folder !== undefined && folder !== "/") {
    const parent = folder.slice(0, folder.lastIndexOf("/")) || "/";
    const above = look(() => Deno.lstatSync(parent));
    if (above !== undefined && !isSafeAbove(above, user, root)) {
      return `others can replace it, because they own or may write to "${parent}" above it`;
    }
    folder = above && parent;
  }
  return undefined;
}

/** The first link in `path` that others could change, as far as the program may look. */
function findForeignLink(path: string, user: User, root: number): string | undefined {
  const cwd = path.startsWith("/") ? "" : look(() => Deno.cwd());
  if (cwd === undefined) return undefined;
  const names = `${cwd}/${path}`.split("/");
  let folder = "";
  for (let links = 0; names.length > 0;) {
    const name = names.shift()!;
    if (name === "" || name === ".") continue;
    if (name === "..") {
      folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/")));
      continue;
    }
    const here = `${folder}/${name}`;
    const info = look(() => Deno.lstatSync(here));
    if (info?.isSymlink) {
      const above = look(() => Deno.lstatSync(folder === "" ? "/" : folder));
      const isOwn = info.uid === user.uid || info.uid === 0 || info.uid === root;
      if (!isOwn || (above !== undefined && !isSafeAbove(above, user, root)) || ++links > MOST_LINKS) {
        return here;
      }
      const target = Deno.readLinkSync(here);
      names.unshift(...target.split("/"));
      if (target.startsWith("/")) folder = "";
    } else folder = here;
  }
  return undefined;
}

/** Whether nobody but `user` and root can rename what is in a folder and belongs to `user`. */
export function isSafeAbove({ uid, gid, mode }: FolderInfo, user: User, root = 0): boolean {
  if (uid !== 0 && uid !== root && uid !== user.uid) return false;
  const isSticky = (mode! & 0o1000) !== 0;
  if (isSticky) return true;
  // On systems that make a group for each user, it has the user's number.
  const mayGroupWrite = gid === user.gid && user.gid === user.uid;
  return (mode! & (mayGroupWrite ? 0o002 : 0o022)) === 0;
}

/** Who the process is, read from a file that it makes in `folder`. Undefined where the system has no users. */
export function ownUser(folder: string): User | undefined {
  // The runtime's own function for it needs a permission that nothing else here needs.
  const probe = Deno.makeTempFileSync({ dir: folder, prefix: "." });
  try {
    const { uid, gid } = Deno.statSync(probe);
    return uid === null || gid === null ? undefined : { uid, gid };
  } finally {
    Deno.removeSync(probe);
  }
}

/** What `read` reads, or undefined if it may not. */
function look<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return undefined;
    throw error;
  }
}
