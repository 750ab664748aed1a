// Exactly the permissions that a server with certain settings needs.

import { resolve } from "node:path";
import { draftPath } from "../../auth/key_file.ts";
import { UsageError } from "../../core/errors.ts";
import { NO_LOG_FILE, type Settings } from "../../core/settings/declarations.ts";
import { listEndpoints } from "../../core/settings/endpoints.ts";
import { judgesTokens } from "../../core/settings/settings.ts";
import { parseRedisUrl, redisPermission } from "../../core/redis_text.ts";
import { quoteForShell, urlHost } from "../../core/shown.ts";
import { parseUpstreamUrl } from "../../core/upstream_text.ts";
import { rotatedPath } from "../../telemetry/rotation.ts";

/**
 * The flags of `deno run` for a server with these settings, some of which may come from a file. Each is a word for a
 * shell, in quotes if it needs them; `eval` and scripts understand those, `$(...)` alone does not.
 *
 * @throws {UsageError} when a permission can't be written: for sockets in a folder that the start would choose, and for
 * names with a comma
 */
export function permissionFlags(settings: Settings, configFile?: string): readonly string[] {
  const { runtimeDir } = settings;
  if (runtimeDir === undefined) {
    throw new UsageError(
      "Cannot print permissions without --runtime-dir: a socket is permitted by its full path only, so name a folder " +
        "here and at the start, such as --runtime-dir wsward.run",
    );
  }
  const { read, write } = neededFiles(settings);
  if (configFile !== undefined) read.push(configFile);
  const flags = [
    `--allow-net=${joinNames(neededAddresses(settings, runtimeDir))}`,
    `--allow-read=${joinNames([...read, runtimeDir])}`,
    `--allow-write=${joinNames([...write, runtimeDir])}`,
  ];
  return ["--no-prompt", ...flags.map(quoteForShell), "--allow-env=WSWARD_*"];
}

function neededAddresses(settings: Settings, runtimeDir: string): readonly string[] {
  const { host, adminListen, metricsListen, jwksUrl } = settings;
  const addresses: string[] = [];
  for (const { port, socket } of listEndpoints(settings)) {
    addresses.push(`${urlHost(host)}:${port}`);
    if (socket !== undefined) addresses.push(`unix:${resolve(runtimeDir, socket)}`);
  }
  for (const url of settings.upstream) {
    const address = parseUpstreamUrl(url)!;
    if (address.kind === "unix") addresses.push(`unix:${address.path}`);
    else addresses.push(`${urlHost(address.hostname)}:${address.port}`);
  }
  if (settings.redis !== undefined) addresses.push(redisPermission(parseRedisUrl(settings.redis)!));
  if (adminListen !== undefined) addresses.push(adminListen);
  if (metricsListen !== undefined) addresses.push(metricsListen);
  if (jwksUrl !== undefined && judgesTokens(settings)) {
    const issuer = hostAndPort(new URL(jwksUrl));
    addresses.push(issuer);
    // The issuer may be at either address of that name.
    if (issuer.startsWith("localhost:")) addresses.push(issuer.replace("localhost", "[::1]"));
  }
  return addresses;
}

function neededFiles(settings: Settings): { readonly read: string[]; readonly write: string[] } {
  const { rulesFile, tlsCert, tlsKey, tlsClientCa, upstreamCa, upstreamCert, upstreamKey, metricsTokenFile } =
    settings;
  const logFile = settings.logFile === NO_LOG_FILE ? undefined : settings.logFile;
  const read = [
    logFile,
    rulesFile,
    tlsCert,
    tlsKey,
    tlsClientCa,
    upstreamCa,
    upstreamCert,
    upstreamKey,
    metricsTokenFile,
    settings.redis === undefined ? undefined : settings.redisCa,
  ]
    .filter((path) => path !== undefined);
  const write = logFile === undefined ? [] : [logFile];
  const redis = settings.redis === undefined ? undefined : parseRedisUrl(settings.redis);
  if (redis?.kind === "unix") {
    read.push(redis.path);
    write.push(redis.path);
  }
  for (const url of settings.upstream) {
    const address = parseUpstreamUrl(url)!;
    if (address.kind !== "unix") continue;
    read.push(address.path);
    write.push(address.path);
  }
  if (logFile !== undefined && settings.logMaxSize !== Infinity) {
    // Each full file is looked for and renamed, but the last one is replaced.
    const full = Array.from({ length: settings.logMaxFiles }, (_, i) => rotatedPath(logFile, i + 1));
    write.push(...full);
    read.push(...full.slice(0, settings.logChain ? Math.max(1, full.length - 1) : -1));
  }
  if (judgesTokens(settings)) {
    const { keyFile, jwksUrl, stateFile } = settings;
    read.push(keyFile);
    if (jwksUrl === undefined) {
      read.push(draftPath(keyFile));
      write.push(keyFile, draftPath(keyFile));
    }
    if (stateFile !== undefined) {
      read.push(stateFile);
      write.push(stateFile);
    }
  }
  return { read, write };
}

function hostAndPort({ protocol, hostname, port }: URL): string {
  return `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
}

function joinNames(names: readonly string[]): string {
  const wrong = names.find((name) => name.includes(","));
  if (wrong !== undefined) {
    throw new UsageError(
      `Cannot print permissions for ${JSON.stringify(wrong)}: Deno takes a comma for the end of a name`,
    );
  }
  return [...new Set(names)].join(",");
}
