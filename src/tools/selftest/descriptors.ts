// How many descriptors a process has open, where that can be seen.

/** The number of open descriptors; undefined without `/proc`, or without the permission to read it. */
export async function countDescriptors(pid: number | undefined): Promise<number | undefined> {
  if (pid === undefined) return undefined;
  try {
    let count = 0;
    for await (const _ of Deno.readDir(`/proc/${pid}/fd`)) count++;
    return count;
  } catch (error) {
    const { NotCapable, NotFound, PermissionDenied } = Deno.errors;
    if ([NotCapable, NotFound, PermissionDenied].some((type) => error instanceof type)) return undefined;
    throw error;
  }
}
