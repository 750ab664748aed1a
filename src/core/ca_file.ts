// Files of certificate authorities that are believed besides the usual ones.

import { StartError } from "./errors.ts";
import { readRegularTextFile, UnreadableFile } from "./regular_file.ts";

/**
 * Reads the file at `path`, which the setting `flag` names, as connections take it: they would fail one by one because of
 * what is wrong with it.
 *
 * @throws {StartError} when it can't be read, or is not certificates in PEM
 */
export function readCaCerts(flag: string, path: string): string[] {
  let text: string;
  try {
    text = readRegularTextFile(path);
  } catch (cause) {
    if (!(cause instanceof UnreadableFile)) throw cause;
    throw new StartError(`Cannot use ${flag} "${path}": ${cause.message}`, { cause });
  }
  if (!text.includes("-----BEGIN CERTIFICATE-----")) {
    throw new StartError(`Cannot use ${flag} "${path}": there is no certificate in PEM in it`);
  }
  try {
    // Nothing else of the runtime takes authorities without connecting.
    Deno.createHttpClient({ caCerts: [text] }).close();
  } catch (cause) {
    throw new StartError(`Cannot use ${flag} "${path}": a certificate in it can't be read`, { cause });
  }
  return [text];
}
