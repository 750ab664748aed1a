// What `deno task compile` makes, of both kinds; and the executable that unpacks itself, wherever it may fail.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { writeSelfExtracting } from "../../scripts/compile/self_extracting.ts";
import config from "../../deno.json" with { type: "json" };
import { findProgram } from "../support/deploy.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const IS_WINDOWS = Deno.build.os === "windows";
const VERSION_LINE = `wsward ${config.version}\n`;

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function execute(
  path: string,
  args: readonly string[],
  options: Pick<Deno.CommandOptions, "env" | "clearEnv" | "cwd"> = {},
): Promise<Outcome> {
  const command = new Deno.Command(path, { ...options, args: [...args], stdin: "null" });
  const endMs = performance.now() + 30_000;
  for (;;) {
    try {
      const { code, stdout, stderr } = await command.output();
      return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
    } catch (error) {
      // ETXTBSY: a process that another test has just begun holds what was open for writing here, for a moment.
      const isBusy = error instanceof Error && error.message.includes("(os error 26)");
      if (!isBusy || performance.now() > endMs) throw error;
    }
  }
}

/** Starts an executable with these variables and no others. */
function start(
  executable: string,
  env: Record<string, string> = {},
  args: readonly string[] = ["--version"],
): Promise<Outcome> {
  return execute(executable, args, { env, clearEnv: true, cwd: "/" });
}

function compile(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  return execute(Deno.execPath(), ["task", "--quiet", "compile", ...args], {
    cwd: ROOT,
    env: { ...env, NO_COLOR: "1" },
  });
}

/** All that this file makes. */
const folder = Deno.makeTempDirSync({ prefix: "compile-test-" });
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

function createFolder(): string {
  return Deno.makeTempDirSync({ dir: folder });
}

let built: Promise<Outcome> | undefined;
const EXECUTABLE = `${folder}/dist/wsward`;

/** Makes the executable, once. */
function build(): Promise<Outcome> {
  return built ??= (async () => await compile(["--out", `${folder}/dist`], await withoutBase()))();
}

/** Variables with which no host can be reached, and a cache that has the packages and the bundler but no base. */
async function withoutBase(): Promise<Record<string, string>> {
  const { denoDir } = JSON.parse((await execute(Deno.execPath(), ["info", "--json"])).stdout);
  const cache = createFolder();
  const empty = `${cache}/empty.js`;
  await Deno.writeTextFile(empty, "");
  // Fetches the bundler, where that was not done before.
  await execute(Deno.execPath(), ["bundle", "--output", `${cache}/bundle.js`, empty]);
  await Deno.mkdir(`${cache}/dl`);
  for (const { name } of Deno.readDirSync(`${denoDir}/dl`)) {
    if (name.startsWith("esbuild")) await Deno.symlink(`${denoDir}/dl/${name}`, `${cache}/dl/${name}`);
  }
  await Deno.symlink(`${denoDir}/npm`, `${cache}/npm`);
  // Nothing listens there.
  const proxy = "http://127.0.0.1:9";
  return { DENO_DIR: cache, HTTPS_PROXY: proxy, https_proxy: proxy };
}

Deno.test({
  name:
    "makes an executable that unpacks itself where the base can't be had, says so, and how fast it starts",
  ignore: IS_WINDOWS,
  async fn() {
    const { code, stdout, stderr } = await build();
    assert.equal(
      stderr,
      "Cannot use deno compile: dl.deno.land can't be reached, and DENORT_BIN is not set; " +
        "making an executable that unpacks itself instead\n",
    );
    const [size, starts] = stdout.split("\n");
    assert.match(size!, /dist\/wsward: \d+\.\d MB, made in \d+\.\d s$/);
    assert.match(starts!, /^Start: \d+\.\d s for the first, then \d+ ms to the version and \d+ ms to ready$/);
    assert.equal(code, 0);
    assert.deepEqual(Array.from(Deno.readDirSync(`${folder}/dist`), ({ name }) => name), ["wsward"]);
    assert.equal(Deno.statSync(EXECUTABLE).mode! & 0o777, 0o755);
  },
});

Deno.test("refuses a platform that deno compile does not offer, and names those that it does", async () => {
  const { code, stdout, stderr } = await compile(["--target", "sparc-sun-solaris"]);
  assert.match(stderr, /^Cannot use --target "sparc-sun-solaris": it must be one of x86_64-.*-msvc\n$/);
  assert.deepEqual([code, stdout], [2, ""]);
});

Deno.test("does not make what unpacks itself for another platform", async () => {
  const target = Deno.build.arch === "aarch64" ? "x86_64-apple-darwin" : "aarch64-apple-darwin";
  const { code, stdout, stderr } = await compile(
    ["--out", `${folder}/other`, "--target", target],
    await withoutBase(),
  );
  assert.match(stderr, new RegExp(`Cannot make .*/other/wsward-${target}: .* for this platform only.*\\n$`));
  assert.deepEqual([code, stdout], [1, ""]);
  assert.throws(() => Deno.statSync(`${folder}/other`), Deno.errors.NotFound);
});

Deno.test({
  name: "uses deno compile where DENORT_BIN names a base, whatever the platform",
  ignore: Deno.build.os !== "linux",
  async fn() {
    // For another one, because what is made of this base does not start.
    const target = `${Deno.build.arch === "aarch64" ? "x86_64" : "aarch64"}-unknown-linux-gnu`;
    const out = createFolder();
    const env = { DENORT_BIN: Deno.execPath() };
    const { code, stdout, stderr } = await compile(["--out", out, "--target", target], env);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, new RegExp(`^${out}/wsward-${target}: \\d+\\.\\d MB, made in \\d+\\.\\d s\\n$`));
    const { size } = Deno.statSync(`${out}/wsward-${target}`);
    assert.ok(size > Deno.statSync(Deno.execPath()).size);
  },
});

/** The one folder that an executable has unpacked itself into. */
function unpackedIn(cache: string): string {
  const names = Array.from(Deno.readDirSync(cache), ({ name }) => name);
  assert.equal(names.length, 1, names.join());
  assert.match(names[0]!, /^[0-9a-f]{64}$/);
  return `${cache}/${names[0]}`;
}

let unpacked: Promise<string> | undefined;

/** A cache in which the executable is unpacked, once: for tests of what comes after that. */
function unpackedCache(): Promise<string> {
  return unpacked ??= (async () => {
    await build();
    const cache = createFolder();
    const outcome = await start(EXECUTABLE, { WSWARD_CACHE_DIR: cache });
    assert.deepEqual(outcome, { code: 0, stdout: VERSION_LINE, stderr: "" });
    return cache;
  })();
}

/** Tests what unpacks itself, as it was built. */
function testUnpacking(name: string, fn: () => Promise<void>, ignore = false): void {
  Deno.test({ name, ignore: IS_WINDOWS || ignore, fn });
}

testUnpacking("four first starts at once all run, from one folder with nothing beside it", async () => {
  await build();
  const cache = `${createFolder()}/cache`;
  const starts = Array.from({ length: 4 }, () => start(EXECUTABLE, { WSWARD_CACHE_DIR: cache }));
  for (const outcome of await Promise.all(starts)) {
    assert.deepEqual(outcome, { code: 0, stdout: VERSION_LINE, stderr: "" });
  }
  assert.equal(Deno.statSync(cache).mode! & 0o777, 0o700);
  assert.equal(Deno.statSync(unpackedIn(cache)).mode! & 0o777, 0o700);
});

testUnpacking("what a killed start has unpacked is never used, and removed when it is old", async () => {
  await build();
  const cache = await killWhileUnpacking();
  const [left] = Array.from(Deno.readDirSync(cache), ({ name }) => `${cache}/${name}`);
  const young = `${cache}/unpacking.young`;
  await Deno.mkdir(young);
  await Deno.utime(left!, new Date(), new Date(Date.now() - 11 * 60_000));
  const outcome = await start(EXECUTABLE, { WSWARD_CACHE_DIR: cache });
  assert.deepEqual(outcome, { code: 0, stdout: VERSION_LINE, stderr: "" });
  // That one could be at work still.
  await Deno.remove(young);
  unpackedIn(cache);
});

/** A cache in which a start was killed before it had unpacked all. */
async function killWhileUnpacking(): Promise<string> {
  for (let i = 0; i < 10; i++) {
    const cache = createFolder();
    const watcher = Deno.watchFs(cache);
    const child = new Deno.Command(EXECUTABLE, {
      args: ["--version"],
      env: { WSWARD_CACHE_DIR: cache },
      clearEnv: true,
      detached: true,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    for await (const { kind } of watcher) if (kind === "create") break;
    // The whole group, so that tar is not left at work.
    Deno.kill(-child.pid, "SIGKILL");
    assert.equal((await child.status).signal, "SIGKILL");
    const names = Array.from(Deno.readDirSync(cache), ({ name }) => name);
    // Otherwise this came too late.
    if (names.length === 1 && names[0]!.startsWith("unpacking.")) return cache;
  }
  throw new Error("Cannot kill a start while it unpacks: it was always faster");
}

testUnpacking("is the same process from start to end, with its signals and exit codes", async () => {
  const cwd = createFolder();
  const env = { WSWARD_CACHE_DIR: await unpackedCache() };
  assert.equal((await start(EXECUTABLE, env, ["serve", "--bogus"])).code, 2);
  for (const [signal, code] of [["SIGTERM", 0], ["SIGKILL", 137]] as const) {
    const args = ["serve", "--echo-port", "0", "--secure-port", "0"];
    const options = {
      args,
      cwd,
      env,
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    } as const;
    const child = new Deno.Command(EXECUTABLE, options).spawn();
    const reader = child.stdout.getReader();
    assert.match(new TextDecoder().decode((await reader.read()).value), /^Listening on /);
    child.kill(signal);
    assert.equal((await child.status).code, code);
    await reader.cancel();
  }
});

// Tries what is beyond the permissions, and prints why it fails.
const PROBE = `
const attempts = {
  net: () => Deno.listen({ port: 0 }).close(),
  read: () => Deno.readDirSync("/").next(),
  write: () => Deno.removeSync(Deno.makeTempDirSync()),
  env: () => ["WSWARD_X", "NOTIFY_SOCKET", "WATCHDOG_USEC", "JOURNAL_STREAM"].map((name) => Deno.env.get(name)),
  otherEnv: () => Deno.env.get("HOME"),
  run: () => new Deno.Command("true").outputSync(),
  ffi: () => Deno.dlopen("libc.so.6", {}),
  sys: () => Deno.hostname(),
  import: () => import("https://deno.land/x.js"),
};
const outcomes = {};
for (const [name, attempt] of Object.entries(attempts)) {
  try {
    await attempt();
    outcomes[name] = "done";
  } catch (error) {
    outcomes[name] = error.name;
  }
}
console.log(JSON.stringify(outcomes));
`;

testUnpacking("may not start programs, load libraries or modules, or read other variables", async () => {
  const cache = await unpackedCache();
  const probe = `${folder}/probe.js`;
  await Deno.writeTextFile(probe, PROBE);
  // What the script does at its end, with another program.
  const last = new TextDecoder().decode(await Deno.readFile(EXECUTABLE)).split("\n")
    .find((line) => line.startsWith("exec "))!;
  const line = last.replace("$here/main.js", probe).replace("$here", unpackedIn(cache));
  const { stdout, stderr } = await execute("/bin/sh", ["-c", line]);
  assert.equal(stderr, "");
  assert.deepEqual(JSON.parse(stdout), {
    net: "done",
    read: "done",
    write: "done",
    env: "done",
    otherEnv: "NotCapable",
    run: "NotCapable",
    ffi: "NotCapable",
    sys: "NotCapable",
    import: "TypeError",
  });
});

testUnpacking(
  "nothing in the folder where it is started, and no variable of Deno, changes what runs",
  async () => {
    const cwd = createFolder();
    for (const name of ["deno.json", "package.json", "deno.lock", ".npmrc"]) {
      await Deno.writeTextFile(`${cwd}/${name}`, "{ broken");
    }
    const env = {
      WSWARD_CACHE_DIR: await unpackedCache(),
      DENO_V8_FLAGS: "--version",
      DENO_DIR: "/dev/null",
      DENO_CERT: "/dev/null/x",
      NODE_OPTIONS: "--bogus",
      OTEL_DENO: "true",
      LINES: "x\nexport DENO_X='1'\nexport a b=c",
      TAR_OPTIONS: "--bogus",
      FORCE_COLOR: "1",
    };
    const outcome = await execute(EXECUTABLE, ["--version"], { env, clearEnv: true, cwd });
    assert.deepEqual(outcome, { code: 0, stdout: VERSION_LINE, stderr: "" });
  },
);

const UNSHARE = findProgram("unshare");

/** Runs a shell script as root of namespaces of its own, if that can be had: with mounts, and no network. */
function isolate(script: string, args: readonly string[]): Promise<Outcome> {
  return execute(UNSHARE!, ["--user", "--map-root-user", "--mount", "--net", "sh", "-c", script, ...args]);
}

const canIsolate = UNSHARE !== undefined && (await isolate("mount -t tmpfs none /mnt", [])).code === 0;

/** Starts `executable` where `cache` was mounted by `script`. */
function startIn(script: string, executable: string, cache: string): Promise<Outcome> {
  const wrapped = `${script} && exec env -i WSWARD_CACHE_DIR="$1" "$0" --version`;
  return isolate(wrapped, [executable, cache]);
}

testUnpacking("starts without a network, and from a cache that can't be written to any more", async () => {
  await build();
  const cache = createFolder();
  assert.deepEqual(await startIn("true", EXECUTABLE, cache), { code: 0, stdout: VERSION_LINE, stderr: "" });
  const readOnly = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1"';
  assert.deepEqual(await startIn(readOnly, EXECUTABLE, cache), { code: 0, stdout: VERSION_LINE, stderr: "" });
}, !canIsolate);

let standIn: Promise<string> | undefined;

/**
 * An executable with a shell script for a runtime, which prints its program, its arguments and its variables. Made
 * once; a quick one.
 */
function buildStandIn(): Promise<string> {
  return standIn ??= (async () => {
    const program = createFolder();
    await Deno.writeTextFile(`${program}/main.js`, "the program\n");
    // Too much for a small disk, however it is packed.
    const filling = Uint8Array.from({ length: 4 << 20 }, () => Math.random() * 256);
    await Deno.writeFile(`${program}/filling.js`, filling);
    const runtime = `${createFolder()}/runtime`;
    const script = `#!/bin/sh
[ "$1" = --version ] && exit
cat "$3"
printf '%s\\n' "$@"
exec env
`;
    await Deno.writeTextFile(runtime, script, { mode: 0o755 });
    const output = `${createFolder()}/wsward`;
    const flags = ["run", "--flag=a*"];
    await writeSelfExtracting({ folder: program, runtime, flags, version: "1.2.3", target: "here", output });
    return output;
  })();
}

async function assertRuns(executable: string, env: Record<string, string>): Promise<void> {
  const { code, stdout, stderr } = await start(executable, env);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^the program\nrun\n/);
}

async function assertFails(executable: string, env: Record<string, string>, reason: RegExp): Promise<void> {
  const { code, stdout, stderr } = await start(executable, env);
  assert.match(stderr, reason);
  assert.match(stderr, /^Cannot [^\n]+\n$/);
  assert.deepEqual([code, stdout], [1, ""]);
}

testUnpacking(
  "passes on its arguments as they are, and the variables that are not the runtime's",
  async () => {
    const cache = createFolder();
    const env = { WSWARD_CACHE_DIR: cache, WSWARD_HOST: "a b", NO_COLOR: "1", DENO_TLS_CA_STORE: "system" };
    const dropped = { DENO_V8_FLAGS: "a", NODE_OPTIONS: "b", OTEL_DENO: "true" };
    const { stdout: openFiles } = await execute("/bin/sh", ["-c", "ulimit -Hn"]);
    const args = ["serve", "", "a b", "*", "$(echo x)", "-n", "\\n"];
    const setting = "/proc/sys/net/ipv4/tcp_migrate_req";
    const migrated = existsSync(setting)
      ? [`WSWARD_TCP_MIGRATE_REQ=${Deno.readTextFileSync(setting).trim()}`]
      : [];
    const { stdout } = await start(await buildStandIn(), { ...env, ...dropped }, args);
    const unpacked = unpackedIn(cache);
    const words = ["the program", "run", "--flag=a*", `${unpacked}/main.js`, ...args].join("\n");
    assert.ok(stdout.startsWith(`${words}\n`), stdout);
    const variables = stdout.slice(words.length + 1).trimEnd().split("\n")
      // What a shell sets by itself.
      .filter((line) => !/^(PWD|OLDPWD|SHLVL|_|PATH)=/.test(line));
    assert.deepEqual(variables.sort(), [
      `DENO_DIR=${unpacked}/state`,
      "DENO_NO_UPDATE_CHECK=1",
      "DENO_TLS_CA_STORE=system",
      "NO_COLOR=1",
      "WSWARD_HOST=a b",
      `WSWARD_OPEN_FILES=${openFiles.trim()}`,
      ...migrated,
      "WSWARD_VARIABLES= WSWARD_HOST",
    ]);
  },
);

const TAMPERINGS: readonly (readonly [name: string, tamper: (unpacked: string) => void])[] = [
  ["was appended to", (unpacked) => Deno.writeTextFileSync(`${unpacked}/main.js`, "x", { append: true })],
  ["was changed, with its size and time as before", (unpacked) => {
    const { mtime } = Deno.statSync(`${unpacked}/main.js`);
    Deno.writeTextFileSync(`${unpacked}/main.js`, "my PROGRAM!\n");
    Deno.utimeSync(`${unpacked}/main.js`, mtime!, mtime!);
  }],
  ["was removed", (unpacked) => Deno.removeSync(`${unpacked}/main.js`)],
  ["is a link to the same text", (unpacked) => {
    Deno.renameSync(`${unpacked}/main.js`, `${unpacked}/other.js`);
    Deno.symlinkSync("other.js", `${unpacked}/main.js`);
  }],
];

for (const [name, tamper] of TAMPERINGS) {
  testUnpacking(`unpacks itself anew when a file ${name}`, async () => {
    const executable = await buildStandIn();
    const cache = createFolder();
    const env = { WSWARD_CACHE_DIR: cache };
    await assertRuns(executable, env);
    await Deno.chmod(`${unpackedIn(cache)}/main.js`, 0o600);
    tamper(unpackedIn(cache));
    await assertRuns(executable, env);
    const info = Deno.lstatSync(`${unpackedIn(cache)}/main.js`);
    assert.deepEqual([info.isFile, info.mode! & 0o777], [true, 0o400]);
  });
}

testUnpacking("reads its files again when one was touched, and keeps them when they are right", async () => {
  const executable = await buildStandIn();
  const cache = createFolder();
  const env = { WSWARD_CACHE_DIR: cache };
  await assertRuns(executable, env);
  const file = `${unpackedIn(cache)}/main.js`;
  const stamp = `${unpackedIn(cache)}/state/seen`;
  const before = Deno.statSync(file);
  await Deno.utime(file, 1, 1);
  const seen = await Deno.readTextFile(stamp);
  await assertRuns(executable, env);
  assert.equal(Deno.statSync(file).ino, before.ino);
  assert.notEqual(await Deno.readTextFile(stamp), seen);
  // Nothing was done since.
  const { mtime } = Deno.statSync(stamp);
  await assertRuns(executable, env);
  assert.deepEqual(Deno.statSync(stamp).mtime, mtime);
  await Deno.writeTextFile(stamp, "");
  await assertRuns(executable, env);
  assert.notEqual(await Deno.readTextFile(stamp), "");
});

testUnpacking("says that it is damaged wherever it was cut off or changed, and leaves nothing", async () => {
  const content = await Deno.readFile(await buildStandIn());
  const text = new TextDecoder("latin1").decode(content);
  const lineCount = Number(/^lines=(\d+)$/m.exec(text)![1]);
  const scriptEnd = text.split("\n", lineCount).join("\n").length + 1;
  const cuts = [scriptEnd - 1, scriptEnd, scriptEnd + 100, content.length >> 1, content.length - 1000];
  // In each line, and after it, from the one on that says what happens then.
  const trapEnd = text.indexOf("\n", text.indexOf("\ntrap ") + 1);
  for (let start = trapEnd + 1; start < scriptEnd - 1;) {
    const end = text.indexOf("\n", start);
    cuts.push((start + end) >> 1, end);
    start = end + 1;
  }
  const changes = [text.indexOf("--flag"), text.indexOf("digests=") + 20, content.length >> 1];
  const versions = [
    ...cuts.map((end) => content.subarray(0, end)),
    ...changes.map((at) => content.with(at, content[at]! ^ 1)),
  ];
  const damaged = `${createFolder()}/wsward`;
  const cache = createFolder();
  for (const version of versions) {
    await Deno.writeFile(damaged, version, { mode: 0o755 });
    const { code, stderr } = await start(damaged, { WSWARD_CACHE_DIR: cache });
    const context = `${version.length} of ${content.length} bytes: ${stderr}`;
    assert.match(stderr, /Cannot start ".*\/wsward": it is damaged, get it again\n$/, context);
    assert.equal(code, 1, context);
  }
  assert.deepEqual([...Deno.readDirSync(cache)], []);
});

testUnpacking("finds a place by HOME, by XDG_CACHE_HOME before it, and without both in /tmp", async () => {
  const executable = await buildStandIn();
  const home = createFolder();
  await assertRuns(executable, { HOME: home });
  unpackedIn(`${home}/.cache/wsward`);
  const xdg = createFolder();
  await assertRuns(executable, { HOME: "/dev/null", XDG_CACHE_HOME: xdg });
  const unpacked = unpackedIn(`${xdg}/wsward`);
  await assertRuns(executable, {});
  const own = `/tmp/wsward-${Deno.uid()}`;
  await Deno.remove(`${own}/${unpacked.slice(-64)}`, { recursive: true });
  // What else is in it is not ours.
  await Deno.remove(own).catch(() => {});
});

testUnpacking("refuses a cache that is not the user's alone, and says what to do", async () => {
  const executable = await buildStandIn();
  const parent = createFolder();
  const cache = `${parent}/cache`;
  const env = { WSWARD_CACHE_DIR: cache };
  const wayOut = "set WSWARD_CACHE_DIR or XDG_CACHE_HOME to another folder";
  const notOwn = new RegExp(`^Cannot use "${cache}": .* belongs to you, and no link to one; ${wayOut}\n$`);
  await Deno.mkdir(`${parent}/real`);
  await Deno.symlink("real", cache);
  await assertFails(executable, env, notOwn);
  await Deno.remove(cache);

  await Deno.mkdir(cache);
  for (const mode of [0o770, 0o707]) {
    await Deno.chmod(cache, mode);
    await assertFails(
      executable,
      env,
      new RegExp(`^Cannot use "${cache}": others can write to it; ${wayOut}\n$`),
    );
  }
  await Deno.chmod(cache, 0o755);
  await assertRuns(executable, env);

  const unpacked = unpackedIn(cache);
  await Deno.rename(unpacked, `${parent}/moved`);
  await Deno.symlink(`${parent}/moved`, unpacked);
  await assertFails(executable, env, /^Cannot use ".*\/[0-9a-f]{64}": .* no link to one/);
  await Deno.remove(unpacked);
  await Deno.writeTextFile(unpacked, "");
  await assertFails(executable, env, /^Cannot use ".*\/[0-9a-f]{64}": it must be a folder/);

  await assertFails(executable, { WSWARD_CACHE_DIR: "cache" }, /^Cannot use "cache": .* absolute path; set /);
  await assertFails(
    executable,
    { WSWARD_CACHE_DIR: "/dev/null/x" },
    new RegExp(`^Cannot unpack into "/dev/null/x": .* can be written, with room for 5 MiB; ${wayOut}\n$`),
  );
});

testUnpacking("refuses a cache that belongs to somebody else (root)", async () => {
  const cache = createFolder();
  await Deno.chown(cache, 65534, 65534);
  await assertFails(await buildStandIn(), { WSWARD_CACHE_DIR: cache }, /^Cannot use ".*": .* belongs to you/);
}, Deno.uid() !== 0);

testUnpacking("executes nothing of what it has noted in its cache", async () => {
  const executable = await buildStandIn();
  const cache = createFolder();
  const env = { WSWARD_CACHE_DIR: cache };
  await assertRuns(executable, env);
  const seen = `${unpackedIn(cache)}/state/seen`;
  const mark = `${cache}/was-executed`;
  const noted = await Deno.readTextFile(seen);
  for (
    const text of [
      `touch ${mark}\n`,
      `known='$(touch ${mark})'\n`,
      `yes; touch ${mark}\n${noted}`,
      `$(touch ${mark})\n${noted.slice(noted.indexOf("\n") + 1)}`,
      `'\n\\\n"`,
    ]
  ) {
    await Deno.writeTextFile(seen, text);
    await assertRuns(executable, env);
    assert.throws(() => Deno.statSync(mark), Deno.errors.NotFound, text);
  }
});

testUnpacking("refuses an open folder of its cache at every start, not at the first only", async () => {
  const executable = await buildStandIn();
  const parent = createFolder();
  const cache = `${parent}/wsward`;
  const env = { WSWARD_CACHE_DIR: cache };
  await assertRuns(executable, env);
  const unpacked = unpackedIn(cache);
  for (const part of [cache, unpacked, `${unpacked}/state`]) {
    for (const mode of [0o720, 0o702, 0o777, 0o1777]) {
      await Deno.chmod(part, mode);
      await assertFails(executable, env, /^Cannot use ".*": others can write to it; set /);
      await Deno.chmod(part, 0o700);
    }
    await assertRuns(executable, env);
  }
  // And above it, but not where only the owner can rename it.
  for (const [mode, isSafe] of [[0o707, false], [0o777, false], [0o1777, true], [0o755, true]] as const) {
    await Deno.chmod(parent, mode);
    if (isSafe) await assertRuns(executable, env);
    else await assertFails(executable, env, /^Cannot use ".*": others can write to a folder above it; set /);
  }
});

testUnpacking("refuses, and makes nothing in, the home of somebody else (root)", async () => {
  const executable = await buildStandIn();
  const home = createFolder();
  await Deno.chown(home, 65534, 65534);
  const reason = /^Cannot use ".*": a folder above it belongs to somebody else; set /;
  await assertFails(executable, { HOME: home }, reason);
  assert.deepEqual([...Deno.readDirSync(home)], []);
  // What sudo has left there.
  await Deno.chown(home, 0, 0);
  await assertRuns(executable, { HOME: home });
  await Deno.chown(home, 65534, 65534);
  await assertFails(executable, { HOME: home }, reason);
  // By another way to the same place.
  const link = `${createFolder()}/link`;
  await Deno.symlink(`${home}/.cache`, link);
  await assertFails(executable, { XDG_CACHE_HOME: link }, reason);
}, Deno.uid() !== 0);

testUnpacking("blocks SIGUSR1, at which the runtime would open its debugger", async () => {
  const program = createFolder();
  await Deno.writeTextFile(`${program}/main.js`, "");
  const runtime = `${createFolder()}/runtime`;
  const script = '#!/bin/sh\n[ "$1" = --version ] && exit\nexec grep SigBlk /proc/self/status\n';
  await Deno.writeTextFile(runtime, script, { mode: 0o755 });
  const output = `${createFolder()}/wsward`;
  await writeSelfExtracting({
    folder: program,
    runtime,
    flags: [],
    version: "1.2.3",
    target: "here",
    output,
  });
  const cache = createFolder();
  for (const which of ["the first start", "another one"]) {
    const { stdout } = await start(output, { WSWARD_CACHE_DIR: cache });
    assert.equal(parseInt(stdout.split(":")[1]!, 16) & 0x200, 0x200, which);
  }
}, Deno.build.os !== "linux");

for (
  const [name, options, reason] of [
    ["on a full disk", "size=2m,mode=700", /^Cannot unpack into ".*": .* with room for 5 MiB; set /],
    ["on a read-only disk", "ro,mode=700", /^Cannot unpack into ".*": .* can be written/],
    ["where no program may run", "noexec,mode=700", /^Cannot run from ".*": .*\(noexec\); set /],
  ] as const
) {
  testUnpacking(`says what is wrong with a cache ${name}, in a line`, async () => {
    const script = `mount -t tmpfs -o ${options} none "$1"`;
    const { code, stdout, stderr } = await startIn(script, await buildStandIn(), createFolder());
    assert.match(stderr, reason);
    assert.match(stderr, /^[^\n]+\n$/);
    assert.deepEqual([code, stdout], [1, ""]);
  }, !canIsolate);
}

testUnpacking("says so where the runtime was made for another system", async () => {
  const program = createFolder();
  await Deno.writeTextFile(`${program}/main.js`, "");
  const runtime = `${createFolder()}/runtime`;
  await Deno.writeTextFile(runtime, "#!/nowhere/at/all\n", { mode: 0o755 });
  const output = `${createFolder()}/wsward`;
  const target = "sparc-sun-solaris";
  await writeSelfExtracting({ folder: program, runtime, flags: [], version: "1.2.3", target, output });
  await assertFails(
    output,
    { WSWARD_CACHE_DIR: createFolder() },
    /^Cannot run here: this is wsward for sparc-sun-solaris\n$/,
  );
});
