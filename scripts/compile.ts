// Makes an executable of the program: with `deno compile`, or, where its base can't be had, one that unpacks itself.

import { basename, dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { median } from "./bench/report.ts";
import { bundle } from "./compile/bundle.ts";
import { writeSelfExtracting } from "./compile/self_extracting.ts";
import { runScript } from "./run_script.ts";

/** The targets of `deno compile`. */
export const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
  "aarch64-pc-windows-msvc",
];

const HELP = `Usage: deno task compile [options]

Makes dist/wsward, one executable with the program and its runtime in it. It is made by deno compile; where the base
that this downloads can't be had, it is a script for this platform only, which unpacks itself into the user's cache.
Prints its size and how long it takes to start.

  --target TRIPLE   the platform, and makes wsward-TRIPLE: one of
                    ${TARGETS.join("\n                    ")}
  --out DIR         the folder to write to (dist)

DENORT_BIN names a base that is here already. Ends with 0 when the executable is made, 1 when it can't be, 2 when the
command line can't be used.`;

/** The built-in permissions. Files and addresses can't be narrowed down: settings name them only when it runs. */
const PERMISSIONS = [
  "--no-prompt",
  "--allow-net",
  "--allow-read",
  "--allow-write",
  "--allow-env=WSWARD_*,NOTIFY_SOCKET,WATCHDOG_USEC,JOURNAL_STREAM",
];

/** Only what is in the executable runs: nothing is taken from the folder where it is started, or fetched. */
const SELF_CONTAINED = ["--no-config", "--no-lock", "--no-npm", "--no-remote", "--cached-only"];

/** More frequent collections save a quarter of the memory of thousands of idle connections. As in the start task. */
const HEAP = "--v8-flags=--max-semi-space-size=8";

/** How long to wait for the host of the base; Deno itself would wait for minutes. */
const BASE_TIMEOUT_MS = 10_000;
/** How many starts to take the printed medians of. */
const STARTS = 5;

interface Config {
  readonly version: string;
  readonly imports: Readonly<Record<string, string>>;
  readonly unstable: readonly string[];
}

interface Options {
  readonly target: string;
  readonly output: string;
}

/** Why `deno compile` has no base for `target`; undefined if it has. */
async function findObstacle(target: string): Promise<string | undefined> {
  if (Deno.env.has("DENORT_BIN")) return undefined;
  const { denoDir } = JSON.parse(await runDeno("info", "--json"));
  const path = `release/v${Deno.version.deno}/denort-${target}.zip`;
  if (await isFile(`${denoDir}/dl/${path}`)) return undefined;
  try {
    const response = await fetch(`https://dl.deno.land/${path}`, {
      signal: AbortSignal.timeout(BASE_TIMEOUT_MS),
    });
    await response.body?.cancel();
    return response.ok ? undefined : `dl.deno.land answers ${response.status} for ${path}`;
  } catch {
    return "dl.deno.land can't be reached, and DENORT_BIN is not set";
  }
}

/** Bundles the program and all that it needs into `folder`/program, with a note of how it was made. */
async function bundleInto(
  folder: string,
  imports: Config["imports"],
  unpacksItself: boolean,
): Promise<string> {
  const commit = await readCommit();
  const builtBy = unpacksItself ? "self-extracting" : "deno compile";
  const build = `export const COMMIT = ${JSON.stringify(commit)}; export const BUILT_BY = "${builtBy}";`;
  await Deno.writeTextFile(`${folder}/build.ts`, build);
  const map = { imports: { ...imports, "wsward/build": "./build.ts" } };
  await Deno.writeTextFile(`${folder}/import_map.json`, JSON.stringify(map));
  const program = `${folder}/program`;
  await bundle({ outDir: program, importMap: `${folder}/import_map.json`, hideLate: unpacksItself });
  return program;
}

/** The commit that is checked out, and whether files differ from it; `unknown` where git does not know. */
async function readCommit(): Promise<string> {
  const args = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"];
  try {
    const { success, stdout } = await new Deno.Command("git", { args, stderr: "null" }).output();
    if (success) return new TextDecoder().decode(stdout).trim();
  } catch {
    // git is not installed.
  }
  return "unknown";
}

/** The output of `deno` with `args`. */
async function runDeno(...args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    env: { NO_COLOR: "1" },
  }).output();
  const [text, reason] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
  if (!success) throw new Error(`Cannot run deno ${args[0]}: ${reason}`);
  return text!;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}

/** How long the executable takes from its start to its first line, in milliseconds; its cache is in `folder`. */
async function timeStart(executable: string, args: readonly string[], folder: string): Promise<number> {
  const startedMs = performance.now();
  const child = new Deno.Command(executable, {
    args: [...args],
    cwd: folder,
    env: { WSWARD_CACHE_DIR: `${folder}/cache`, NO_COLOR: "1" },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stderr = new Response(child.stderr).text();
  const reader = child.stdout.getReader();
  const { done } = await reader.read();
  const ms = performance.now() - startedMs;
  await reader.cancel();
  try {
    child.kill("SIGTERM");
  } catch {
    // It has ended already.
  }
  await child.status;
  if (done) throw new Error(`Cannot start what was made: ${(await stderr).trim()}`);
  await stderr;
  return ms;
}

/** The times of starts, in words; the first start unpacks and fills caches. */
async function describeStarts(executable: string, folder: string): Promise<string> {
  const serve = ["serve", "--echo-port", "0", "--secure-port", "0"];
  const first = await timeStart(executable, ["version"], folder);
  const [version, ready] = [[] as number[], [] as number[]];
  for (let i = -1; i < STARTS; i++) {
    for (const [args, times] of [[["version"], version], [serve, ready]] as const) {
      const ms = await timeStart(executable, args, folder);
      if (i >= 0) times.push(ms);
    }
  }
  const [versionMs, readyMs] = [version, ready].map((times) => `${median(times).toFixed(0)} ms`);
  return `${
    (first / 1000).toFixed(1)
  } s for the first, then ${versionMs} to the version and ${readyMs} to ready`;
}

async function main({ target, output }: Options): Promise<number> {
  const obstacle = await findObstacle(target);
  const isOwn = target === Deno.build.target;
  if (obstacle !== undefined && (!isOwn || Deno.build.os === "windows")) {
    const limit = "an executable that unpacks itself is for this platform only, and not for Windows";
    console.error(`Cannot make ${output}: ${obstacle}; ${limit}`);
    return 1;
  }
  if (obstacle !== undefined) {
    console.error(`Cannot use deno compile: ${obstacle}; making an executable that unpacks itself instead`);
  }
  const { version, imports, unstable }: Config = JSON.parse(await Deno.readTextFile("deno.json"));
  const out = dirname(output);
  await Deno.mkdir(out, { recursive: true });
  // In the output folder, so that the result can be moved into place once it is known to start.
  const folder = await Deno.makeTempDir({ dir: resolve(out), prefix: "compile-" });
  try {
    const startedMs = performance.now();
    const made = `${folder}/${basename(output)}`;
    const program = await bundleInto(folder, imports, obstacle !== undefined);
    const flags = [HEAP, ...SELF_CONTAINED, ...unstable.map((name) => `--unstable-${name}`), ...PERMISSIONS];
    if (obstacle === undefined) {
      const files = [`--target=${target}`, `--output=${made}`, `${program}/main.js`];
      await runDeno("compile", "--quiet", "--no-check", ...flags, ...files);
    } else {
      await writeSelfExtracting({
        folder: program,
        runtime: Deno.execPath(),
        flags: ["run", ...flags],
        version,
        target,
        output: made,
      });
    }
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    const { size } = await Deno.stat(made);
    const starts = isOwn ? await describeStarts(made, folder) : "";
    await Deno.rename(made, output);
    console.log(`${output}: ${(size / 1e6).toFixed(1)} MB, made in ${seconds} s`);
    if (isOwn) console.log(`Start: ${starts}`);
    return 0;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function readOptions(args: readonly string[]): Options & { readonly help: boolean } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      target: { type: "string" },
      out: { type: "string", default: "dist" },
      help: { type: "boolean", default: false },
    },
  });
  const { target, out, help } = values;
  if (target !== undefined && !TARGETS.includes(target)) {
    throw new Error(`Cannot use --target "${target}": it must be one of ${TARGETS.join(", ")}`);
  }
  const name = target === undefined ? "wsward" : `wsward-${target}`;
  const isWindows = (target ?? Deno.build.target).includes("windows");
  return { target: target ?? Deno.build.target, output: `${out}/${name}${isWindows ? ".exe" : ""}`, help };
}

if (import.meta.main) await runScript({ help: HELP, readOptions, main });
