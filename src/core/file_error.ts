// Why a file can't be used, in the same words everywhere.

/**
 * Why a file can't be used, to be put after a colon: `permission denied`. `missing` is returned where there is no file.
 */
export function describeFileError(error: unknown, missing = "it does not exist"): string {
  if (error instanceof Deno.errors.NotFound) return missing;
  if (error instanceof Deno.errors.IsADirectory) return "it is a folder";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.NotCapable) {
    return "access to it was not allowed when the program was started";
  }
  return error instanceof Error ? error.message : String(error);
}
