// Checks the files and folders of the settings: whether they can be used, and who else could read them.

import { dirname } from "node:path";
import { MetricsToken } from "../../admin/metrics_token.ts";
import { describeFileError } from "../../core/file_error.ts";
import { findExposure, ownUser } from "../../core/private_folder.ts";
import { exists, isOpenMode, readRegularFile } from "../../core/regular_file.ts";
import type { Settings } from "../../core/settings/declarations.ts";
import { quoteForShell } from "../../core/shown.ts";
import { IpRules } from "../../firewall/admission/ip_rules.ts";
import type { Finding } from "./doctor_finding.ts";

/** The beginning of every SQLite file. */
const SQLITE = "SQLite format 3\0";
/** The permissions of everybody but the owner and the group. */
const OTHERS = 0o007;
/** A group of servers may read it, but not write. */
const GROUP_READS = 0o040;

/** The rules file, if there is one. */
export function examineRules(settings: Settings): readonly Finding[] {
  const { rulesFile } = settings;
  if (rulesFile === undefined) return [];
  const remedy = "correct it: one rule a line, allow CIDR or deny CIDR";
  return [attempt("rules file", remedy, () => {
    new IpRules(settings);
    return { state: `${rulesFile} can be used` };
  })];
}

/** The state file, which is not opened: it belongs to one server. */
export function examineState({ stateFile }: Settings): readonly Finding[] {
  if (stateFile === undefined) return [];
  const remedy = "let its user write there, or name another with --state-file";
  return [attempt("state file", remedy, () => {
    if (!exists(stateFile)) return creatable(stateFile);
    const { mode = 0 } = readRegularFile(stateFile, Infinity);
    using file = Deno.openSync(stateFile, { read: true, write: true });
    const start = new Uint8Array(SQLITE.length);
    const size = file.readSync(start) ?? 0;
    if (size > 0 && new TextDecoder().decode(start) !== SQLITE) {
      throw new Error(`${stateFile} is not an SQLite file`);
    }
    if (!isOpenMode(stateFile, mode)) return { state: `${stateFile} can be used` };
    return {
      doubt: `others can read ${stateFile}, and so who is revoked`,
      remedy: `run chmod 600 ${quoteForShell(stateFile)}`,
    };
  })];
}

/** The folder of the private sockets, if one is named. */
export function examineRuntimeDir({ runtimeDir }: Settings): readonly Finding[] {
  if (runtimeDir === undefined) return [];
  const remedy =
    "name a folder of the server's own user with mode 0700, below folders that others can't write to";
  return [attempt("runtime folder", remedy, () => {
    if (!exists(runtimeDir)) return creatable(runtimeDir);
    const user = ownUser(runtimeDir);
    const exposure = user === undefined ? undefined : findExposure(runtimeDir, user);
    if (exposure !== undefined) throw new Error(`${runtimeDir}: ${exposure}`);
    return { state: `${runtimeDir} can be used` };
  })];
}

/** Who may read the certificate's key; whether it fits is checked with the certificate. */
export function examineTlsKey({ tlsKey }: Settings): readonly Finding[] {
  if (tlsKey === undefined) return [];
  return [attempt("TLS key", "look at --tls-key", () => {
    const { mode = 0 } = readRegularFile(tlsKey);
    if (!isOpenMode(tlsKey, mode & ~GROUP_READS)) {
      return { state: `${tlsKey} is for its owner, or its group` };
    }
    const remedy = `run chmod 600 ${quoteForShell(tlsKey)}, or 640 for a group of servers`;
    return { doubt: `others can read ${tlsKey}`, remedy };
  })];
}

/** The file with the token for the metrics, if there is one. */
export function examineMetricsToken({ metricsTokenFile: path }: Settings): readonly Finding[] {
  if (path === undefined) return [];
  const remedy = `make one: openssl rand -hex 32 > ${quoteForShell(path)}`;
  return [attempt("metrics token", remedy, () => {
    new MetricsToken(path);
    if (((readRegularFile(path).mode ?? 0) & OTHERS) === 0) return { state: `${path} can be used` };
    const mend = `run chmod 640 ${quoteForShell(path)}, with a group that Prometheus is in`;
    return { doubt: `others can read ${path}`, remedy: mend };
  })];
}

type Look = { readonly state: string } | { readonly doubt: string; readonly remedy: string };

/** Makes a finding of a check; what that throws is why a start would fail. */
function attempt(name: string, remedy: string, look: () => Look): Finding {
  try {
    const found = look();
    if ("state" in found) return { name, result: "ok", ...found };
    return { name, result: "warning", state: found.doubt, remedy: found.remedy };
  } catch (error) {
    return { name, result: "failure", state: describeFileError(error), remedy };
  }
}

function creatable(path: string): Look {
  try {
    if (exists(dirname(path))) return { state: `${path} is created at the start` };
  } catch (error) {
    // From source, there may be a permission for this path only.
    if (error instanceof Deno.errors.NotCapable) return { state: `${path} is not there yet` };
    throw error;
  }
  throw new Error(`the folder of ${path} does not exist`);
}
