// Checks what a start with certain settings would need, without starting, and says how to fix each problem.

import { dirname } from "node:path";
import { AnswerError, request } from "../../auth/http_get.ts";
import { loadKeys } from "../../auth/key_file.ts";
import { MAX_KEY_SET_SIZE_BYTES } from "../../auth/remote_keys.ts";
import { connectionsWithin, descriptorsForPeers, neededDescriptors } from "../../core/descriptors.ts";
import { describeFileError } from "../../core/file_error.ts";
import { describeListenError } from "../../core/listen_error.ts";
import { exists } from "../../core/regular_file.ts";
import type { Settings } from "../../core/settings/declarations.ts";
import { listEndpoints } from "../../core/settings/endpoints.ts";
import { flagOf, judgesTokens } from "../../core/settings/settings.ts";
import { urlHost } from "../../core/shown.ts";
import { readPem } from "../../firewall/tls/pem_file.ts";
import { checkIdentity, readCertificates } from "../../firewall/tls/tls_identity.ts";
import { openFileLimit } from "../../process/granted.ts";
import {
  examineMetricsToken,
  examineRules,
  examineRuntimeDir,
  examineState,
  examineTlsKey,
} from "./doctor_files.ts";
import type { Finding } from "./doctor_finding.ts";
import { examineRedis } from "./doctor_redis.ts";
import { examineUpstreams } from "./doctor_upstream.ts";

const CERTIFICATE_WARNING_DAYS = 14;
const DAY_MS = 24 * 60 * 60_000;
const ISSUER_TIMEOUT_MS = 5_000;
/** A clock before this time is wrong. */
const EARLIEST_MS = Date.UTC(2026, 0);

/** Checks one kind of thing; has no findings if the settings do not need it. */
type Check = (settings: Settings, nowMs: number) => readonly Finding[] | Promise<readonly Finding[]>;

/** All checks, in the order of the output. */
const CHECKS: readonly Check[] = [
  ports,
  examineUpstreams,
  examineRedis,
  keys,
  issuer,
  certificate,
  examineTlsKey,
  examineRules,
  examineState,
  examineRuntimeDir,
  examineMetricsToken,
  ({ logFile }) => [examineLogFile(logFile)],
  (settings) => [descriptors(settings)],
  (_, nowMs) => [clock(nowMs)],
];

/**
 * Checks all that these settings need: opens and closes the ports, asks the issuer, Redis and each upstream. Creates
 * and changes nothing.
 */
export async function examine(settings: Settings, nowMs: number): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const check of CHECKS) findings.push(...await check(settings, nowMs));
  return findings;
}

function ports(settings: Settings): readonly Finding[] {
  const { host, adminListen, metricsListen, reusePort } = settings;
  const findings = listEndpoints(settings).map(({ name, port, portSetting }) =>
    examinePort(`${name} port`, host, port, flagOf(portSetting), reusePort)
  );
  for (
    const [name, address, flag] of [
      ["admin port", adminListen, "--admin-listen"],
      ["metrics port", metricsListen, "--metrics-listen"],
    ] as const
  ) {
    if (address === undefined) continue;
    const colon = address.lastIndexOf(":");
    const hostname = address.slice(0, colon).replace(/^\[|\]$/g, "");
    findings.push(examinePort(name, hostname, Number(address.slice(colon + 1)), flag));
  }
  return findings;
}

function examinePort(
  name: string,
  hostname: string,
  number: number,
  flag: string,
  reusePort = false,
): Finding {
  const address = `${urlHost(hostname)}:${number}`;
  try {
    Deno.listen({ hostname, port: number, reusePort }).close();
    return { name, result: "ok", state: `${address} is free` };
  } catch (error) {
    const state = `${address}: ${describeListenError(error, address)}`;
    const remedy = error instanceof Deno.errors.AddrInUse
      ? `stop what listens there, or choose another with ${flag}`
      : error instanceof Deno.errors.PermissionDenied
      ? `choose a port from 1024 on with ${flag}`
      : `choose an address of this machine with ${flag.endsWith("-listen") ? flag : "--host"}`;
    return { name, result: "failure", state, remedy };
  }
}

async function keys(settings: Settings): Promise<readonly Finding[]> {
  return judgesTokens(settings) ? [await examineKeys(settings)] : [];
}

async function examineKeys({ keyFile, keyEncoding, jwksUrl }: Settings): Promise<Finding> {
  const name = "key file";
  const doubts: string[] = [];
  try {
    if (!exists(keyFile)) {
      const state = `${keyFile} does not exist yet`;
      if (jwksUrl !== undefined) return { name, result: "ok", state: `${state}, and --jwks-url is enough` };
      if (exists(dirname(keyFile))) {
        return { name, result: "ok", state: `${state}, and is created at the start` };
      }
      return {
        name,
        result: "failure",
        state: "its folder does not exist",
        remedy: `create ${dirname(keyFile)}`,
      };
    }
    await loadKeys(keyFile, { encoding: keyEncoding, onDoubt: (doubt) => doubts.push(doubt) });
  } catch (error) {
    const remedy = "name another with --key-file, or make one: wsward key create --out FILE";
    return { name, result: "failure", state: reasonOf(error), remedy };
  }
  if (doubts.length === 0) return { name, result: "ok", state: `${keyFile} can be used` };
  return {
    name,
    result: "warning",
    state: doubts.join("; "),
    remedy: "say how it is written with --key-encoding",
  };
}

async function issuer(settings: Settings): Promise<readonly Finding[]> {
  const { jwksUrl } = settings;
  return jwksUrl !== undefined && judgesTokens(settings) ? [await examineIssuer(jwksUrl)] : [];
}

async function examineIssuer(jwksUrl: string): Promise<Finding> {
  const name = "issuer";
  const remedy = "check --jwks-url and the network; until it answers only keys of --key-file are known";
  try {
    const answer = await request({
      url: new URL(jwksUrl),
      accept: "application/json",
      maxBodySizeBytes: MAX_KEY_SET_SIZE_BYTES,
      timeoutMs: ISSUER_TIMEOUT_MS,
    });
    if (answer.status === 200) return { name, result: "ok", state: `${jwksUrl} answers` };
    return { name, result: "warning", state: `${jwksUrl} answers with status ${answer.status}`, remedy };
  } catch (error) {
    if (!(error instanceof AnswerError || error instanceof Error)) throw error;
    return { name, result: "warning", state: `${jwksUrl}: ${reasonOf(error)}`, remedy };
  }
}

function certificate(settings: Settings, nowMs: number): readonly Finding[] {
  return settings.tlsCert === undefined ? [] : [examineCertificate(settings, nowMs)];
}

function examineCertificate({ tlsCert = "", tlsKey = "", tlsClientCa }: Settings, nowMs: number): Finding {
  const name = "certificate";
  try {
    const cert = readPem("TLS certificate", tlsCert).text;
    const clientCa = tlsClientCa === undefined ? undefined : readPem("TLS client CA", tlsClientCa).text;
    const key = readPem("TLS key", tlsKey).text;
    const files = { cert: tlsCert, key: tlsKey, clientCa: tlsClientCa };
    const doubt = checkIdentity({ cert, key, clientCa, files }, nowMs);
    const endMs = Date.parse(readCertificates("TLS certificate", cert)[0].validTo);
    const days = Math.floor((endMs - nowMs) / DAY_MS);
    const state = doubt ?? `it ends at ${new Date(endMs).toISOString().replace(".000", "")}, in ${days} days`;
    if (doubt === undefined && days >= CERTIFICATE_WARNING_DAYS) return { name, result: "ok", state };
    return { name, result: "warning", state, remedy: "get a new one, and send SIGHUP to a server that runs" };
  } catch (error) {
    return {
      name,
      result: "failure",
      state: reasonOf(error),
      remedy: "check --tls-cert, --tls-key, --tls-client-ca",
    };
  }
}

function examineLogFile(path: string): Finding {
  const name = "log file";
  try {
    if (!exists(path)) {
      if (exists(dirname(path))) return { name, result: "ok", state: `${path} is created at the start` };
      const remedy = `create ${dirname(path)}, or name another file with --log-file`;
      return { name, result: "failure", state: `the folder of ${path} does not exist`, remedy };
    }
    Deno.openSync(path, { append: true }).close();
    return { name, result: "ok", state: `${path} can be written` };
  } catch (error) {
    const remedy = "let its user write there, or name another with --log-file";
    return { name, result: "failure", state: `${path}: ${reasonOf(error)}`, remedy };
  }
}

function descriptors(settings: Settings): Finding {
  const name = "descriptors";
  const limit = descriptorLimit();
  if (limit === undefined) return { name, result: "ok", state: "their limit can't be seen here" };
  const needed = neededDescriptors(settings);
  if (limit >= needed) return { name, result: "ok", state: `${limit} can be open` };
  const state = `${limit} can be open, and --max-connections ${
    needed === Infinity ? "unlimited" : settings.maxConnections
  } may need ${needed === Infinity ? "any number" : needed}`;
  const fitting = connectionsWithin(descriptorsForPeers(limit, settings));
  const remedy = `raise the limit (ulimit -n, or LimitNOFILE in a unit), or use --max-connections ${fitting}`;
  return { name, result: "warning", state, remedy };
}

/**
 * How many descriptors a start may have: the limit that it goes by, or else that of this process; undefined if neither
 * is known.
 */
function descriptorLimit(): number | undefined {
  const told = openFileLimit();
  if (!Number.isNaN(told)) return told;
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(Deno.readTextFileSync("/proc/self/limits")) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch (error) {
    const { NotFound, NotCapable, PermissionDenied } = Deno.errors;
    if ([NotFound, NotCapable, PermissionDenied].some((type) => error instanceof type)) return undefined;
    throw error;
  }
}

function clock(nowMs: number): Finding {
  const state = `it is ${new Date(nowMs).toISOString()} here`;
  if (nowMs >= EARLIEST_MS) return { name: "clock", result: "ok", state };
  return {
    name: "clock",
    result: "failure",
    state,
    remedy: "set the clock: tokens and certificates are judged by it",
  };
}

function reasonOf(error: unknown): string {
  return describeFileError(error).replace(/ \(os error \d+\)$/, "");
}
