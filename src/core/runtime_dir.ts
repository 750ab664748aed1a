// The folder of the private sockets: for one server at a time, and safe from other users.

import { StartError } from "./errors.ts";
import { findExposure, ownUser } from "./private_folder.ts";
import { exists } from "./regular_file.ts";

/** A runtime folder that is ours until it is closed. */
export interface RuntimeDir {
  readonly path: string;
  /** Whether there is something with this name in it, as far as that can be seen. Never throws. */
  holds(name: string): boolean;
  /** Removes the sockets, and the folder if it was made for this start or was empty then. Never throws. */
  close(): void;
}

/** Holds the id of the process that has locked it. A lock ends with its process, however that ends. */
const LOCK_NAME = "server.lock";

/**
 * Takes the folder `path`, made if need be, or a fresh one. `sockets` are the names of the sockets that will be made there;
 * those that a killed process left behind are removed.
 *
 * @throws {StartError} when it can't be made, when others could enter or replace it, or when another server uses it; then
 * nothing in it has changed
 */
export async function openRuntimeDir(
  path: string | undefined,
  sockets: readonly string[],
): Promise<RuntimeDir> {
  try {
    const isNew = path === undefined || createFolder(path);
    return await takeFolder(path ?? Deno.makeTempDirSync({ prefix: "wsward-" }), isNew, sockets);
  } catch (cause) {
    if (cause instanceof StartError) throw cause;
    const why = cause instanceof Deno.errors.PermissionDenied
      ? "permission denied"
      : (cause as Error).message;
    throw new StartError(`Cannot use the runtime folder "${path ?? "(a temporary one)"}": ${why}`, { cause });
  }
}

/** Returns whether it was made now. */
function createFolder(path: string): boolean {
  try {
    Deno.mkdirSync(path, { mode: 0o700 });
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

async function takeFolder(path: string, isNew: boolean, sockets: readonly string[]): Promise<RuntimeDir> {
  const isOurs = isNew || isEmpty(path);
  let lock: Deno.FsFile | undefined;
  try {
    refuseExposed(path);
    lock = takeLock(path);
    for (const name of sockets) await removeStale(path, name);
  } catch (error) {
    if (lock !== undefined) removeAll(path, [LOCK_NAME]);
    lock?.close();
    if (isNew) removeQuietly(path);
    throw error;
  }
  const held = lock;
  return {
    path,
    holds(name) {
      try {
        return exists(`${path}/${name}`);
      } catch {
        // Whatever the system says: what can't be looked at can't be reached either.
        return false;
      }
    },
    close() {
      // The lock last: the next to take it finds nothing else here.
      removeAll(path, [...sockets, LOCK_NAME]);
      held.close();
      if (isOurs) removeQuietly(path);
    },
  };
}

function isEmpty(path: string): boolean {
  if (!Deno.lstatSync(path).isDirectory) return false;
  for (const _ of Deno.readDirSync(path)) return false;
  return true;
}

function refuseExposed(path: string): void {
  if (!Deno.lstatSync(path).isDirectory) throw unusable(path, "it must be a folder, and no link to one");
  const user = ownUser(path);
  const exposure = user === undefined ? undefined : findExposure(path, user);
  if (exposure !== undefined) throw unusable(path, exposure);
}

/** Two servers in one folder would remove each other's sockets. */
function takeLock(path: string): Deno.FsFile {
  const lockPath = `${path}/${LOCK_NAME}`;
  const file = Deno.openSync(lockPath, { read: true, write: true, create: true, mode: 0o600 });
  try {
    if (!file.tryLockSync(true) || !isInPlace(file, lockPath)) {
      const process = Deno.readTextFileSync(lockPath).trim();
      throw unusable(path, `the server with process id ${process} uses it; ${WAY_OUT}`);
    }
    file.truncateSync();
    file.writeSync(new TextEncoder().encode(`${Deno.pid}\n`));
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

const WAY_OUT = "stop that one, or give this one a --runtime-dir of its own";

/** Whether the file is still there: a server that has just stopped may have removed it. */
function isInPlace(file: Deno.FsFile, path: string): boolean {
  return file.statSync().ino === Deno.statSync(path).ino;
}

/** A process that was killed leaves its sockets behind, and where one is, no other can be made. */
async function removeStale(folder: string, name: string): Promise<void> {
  const path = `${folder}/${name}`;
  if (!exists(path)) return;
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    // What may not be connected to will not be used either.
    if (error instanceof Deno.errors.NotCapable) return;
    if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
    return Deno.removeSync(path);
  }
  throw unusable(folder, `another server answers on "${path}"; ${WAY_OUT}`);
}

function removeAll(folder: string, names: readonly string[]): void {
  for (const name of names) removeQuietly(`${folder}/${name}`);
}

function removeQuietly(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // Not there, not empty, or in a folder that is not ours to change: nothing can be done about it at the end.
  }
}

function unusable(path: string, state: string): StartError {
  return new StartError(`Cannot use the runtime folder "${path}": ${state}`);
}
