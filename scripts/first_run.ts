// What a new user waits for: the README's command with only Node and npm, and the start against an empty server's.

import { parseArgs } from "node:util";
import { formatColumns } from "../src/cli/client/printed.ts";
import { startPermissions } from "../tests/support/process.ts";
import { median } from "./bench/report.ts";
import { messageOf, readWhole, runScript } from "./run_script.ts";

/** How many times as long as an empty server the program may take to start. */
const MOST_TIMES = 1.5;

const HELP = `Usage: deno task first-run [options] [-- COMMAND...]

Clones the last commit into an empty folder and runs the README's start command there, with an empty home and no Deno
on the path, first with nothing cached and then again. Then starts an empty Deno.serve, main.ts and dist/wsward, if
it exists, in turns. All times are from the start of the process to the first ready line.

  --rounds N   how many turns (30)
  --no-clone   leave the clone out
  --test       run the README's test command in the clone too, which takes minutes
  --json       print JSON
  COMMAND      what is started instead of main.ts and dist/wsward

Ends with
  0   the program takes at most ${MOST_TIMES} times as long as the empty Deno.serve; that is dist/wsward, if it exists
  1   it takes longer, or something fails
  2   the command line can't be used`;

const ROOT = decodeURIComponent(new URL("../", import.meta.url).pathname);
const EXECUTABLE = `${ROOT}dist/wsward`;
const READY_LINE = /^Listening on /m;
const EMPTY_SERVER = `Deno.serve({ hostname: "127.0.0.1", port: 0 }, () => new Response());\n`;

/** Any free port for each, so that the commands can be run as they are written. */
const FREE_PORTS = { WSWARD_ECHO_PORT: "0", WSWARD_SECURE_PORT: "0" };

/** Variables that lead Deno, npm or wsward out of the new home folder; the choice of a registry is kept. */
const NOT_INHERITED =
  /^(HOME|INIT_CWD|XDG_\w+|WSWARD_\w+|DENO_DIR|DENO_INSTALL\w*|npm_(?!config_registry$)\w+)$/i;

const COLD_DEADLINE_MS = 600_000;
const WARM_DEADLINE_MS = 60_000;
const TEST_DEADLINE_MS = 3_600_000;
const STOP_DEADLINE_MS = 20_000;
const OUTPUT_KEPT = 4000;

interface Options {
  readonly rounds: number;
  readonly clone: boolean;
  readonly test: boolean;
  readonly json: boolean;
  readonly command: readonly string[];
}

/** A process to start. */
interface Start {
  readonly command: readonly string[];
  readonly folder: string;
  /** All its environment variables. */
  readonly env: Readonly<Record<string, string>>;
}

interface CloneResult {
  readonly command: string;
  readonly coldMs: number;
  readonly warmMs: number;
  readonly test?: { readonly command: string; readonly summary: string; readonly ms: number };
}

interface StartResult {
  readonly name: string;
  readonly medianMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  /** The median divided by that of the empty server. */
  readonly ratio: number;
}

// A process group of its own gets no Ctrl-C from the terminal, so it is ended from here.
const interruption = Promise.withResolvers<never>();
interruption.promise.catch(() => {});

/** The command of `readme` that runs `task` without Deno; throws an `Error` if there is not exactly one. */
export function readCommand(readme: string, task: string): string {
  const found = new Set(readme.match(new RegExp(`\\bnpx -y deno@[\\w.]+ task ${task}(?=\`)`, "g")));
  const [command] = found;
  if (command === undefined || found.size > 1) {
    throw new Error(`Cannot find one npx command for the task ${task} in README.md: it has ${found.size}`);
  }
  return command;
}

/** A process in a group of its own, so that all that it starts can be ended with it. */
class Group {
  readonly #child: Deno.ChildProcess;
  readonly #startedMs = performance.now();
  readonly #ready = Promise.withResolvers<number>();
  readonly #ended: Promise<unknown>;
  #output = "";

  constructor({ command: [program = "", ...args], folder, env }: Start) {
    const options = { args, cwd: folder, env, clearEnv: true, detached: true };
    this.#child = new Deno.Command(program, { ...options, stdin: "null", stdout: "piped", stderr: "piped" })
      .spawn();
    // A pipe ends when the last process of the group has.
    this.#ended = Promise.all([this.#collect(this.#child.stdout), this.#collect(this.#child.stderr)]);
    this.#ended.then(() => this.#ready.reject(new Error("it ended")));
    this.#ready.promise.catch(() => {});
  }

  /** The end of the output, of both pipes. */
  get output(): string {
    return this.#output.trim();
  }

  /** The time from the start to the ready line, in milliseconds. */
  ready(deadlineMs: number): Promise<number> {
    return this.#bounded("its ready line", this.#ready.promise, deadlineMs);
  }

  /** Whether it ends with the exit code 0. */
  async succeeds(deadlineMs: number): Promise<boolean> {
    await this.#bounded("its end", this.#ended, deadlineMs);
    return (await this.#child.status).success;
  }

  /** Ends all processes of the group as a service manager would; harmless when repeated. */
  async stop(): Promise<void> {
    this.#signal("SIGTERM");
    const timer = setTimeout(() => this.#signal("SIGKILL"), STOP_DEADLINE_MS);
    await this.#ended;
    await this.#child.status;
    clearTimeout(timer);
  }

  async #collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      this.#output = (this.#output + text).slice(-OUTPUT_KEPT);
      if (READY_LINE.test(this.#output)) this.#ready.resolve(performance.now() - this.#startedMs);
    }
  }

  async #bounded<Value>(what: string, wait: Promise<Value>, deadlineMs: number): Promise<Value> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error("it took too long")), deadlineMs);
    try {
      return await Promise.race([wait, late.promise, interruption.promise]);
    } catch (error) {
      throw new Error(`Cannot wait for ${what}, ${messageOf(error)}: ${this.output}`);
    } finally {
      clearTimeout(timer);
    }
  }

  #signal(signal: Deno.Signal): void {
    try {
      Deno.kill(-this.#child.pid, signal);
    } catch {
      // All processes of the group have ended.
    }
  }
}

/** Starts a process, waits for its ready line and ends it; the time to that line in milliseconds. */
async function timeToReady(start: Start, deadlineMs: number): Promise<number> {
  const group = new Group(start);
  try {
    return await group.ready(deadlineMs);
  } finally {
    await group.stop();
  }
}

async function runClone(folder: string, withTest: boolean): Promise<CloneResult> {
  const clone = `${folder}/wsward`;
  const home = `${folder}/home`;
  await Deno.mkdir(home);
  await runGit("clone", "--quiet", "--no-hardlinks", ROOT, clone);
  const readme = await Deno.readTextFile(`${clone}/README.md`);
  const command = readCommand(readme, "start");
  const inherited = Object.entries(Deno.env.toObject()).filter(([name]) => !NOT_INHERITED.test(name));
  const env = {
    ...Object.fromEntries(inherited),
    ...FREE_PORTS,
    HOME: home,
    PATH: pathWithoutDeno(`${folder}/bin`),
    NO_COLOR: "1",
  };
  const start = { command: ["sh", "-c", command], folder: clone, env };
  tell(`in a clone of the last commit: ${command}`);
  const coldMs = await timeToReady(start, COLD_DEADLINE_MS);
  tell(`  nothing cached:  ready after ${formatSeconds(coldMs)}`);
  const warmMs = await timeToReady(start, WARM_DEADLINE_MS);
  tell(`  once more:       ready after ${formatSeconds(warmMs)}`);
  if (!withTest) return { command, coldMs, warmMs };
  return {
    command,
    coldMs,
    warmMs,
    test: await runTests({ ...start, command: ["sh", "-c", readCommand(readme, "test")] }),
  };
}

async function runTests(start: Start): Promise<NonNullable<CloneResult["test"]>> {
  const command = start.command.at(-1)!;
  tell(`in the same clone: ${command}`);
  const startedMs = performance.now();
  // The tests choose their ports themselves, and check the defaults.
  const { WSWARD_ECHO_PORT: _echo, WSWARD_SECURE_PORT: _secure, ...env } = start.env;
  const group = new Group({ ...start, env });
  try {
    if (!await group.succeeds(TEST_DEADLINE_MS)) throw new Error(`Cannot pass ${command}: ${group.output}`);
  } finally {
    await group.stop();
  }
  const summary = /^ok \| .+$/m.exec(group.output)?.[0];
  if (summary === undefined) throw new Error(`Cannot find the count of ${command}: ${group.output}`);
  const ms = performance.now() - startedMs;
  tell(`  ${summary}; all together ${formatSeconds(ms)}`);
  return { command, summary, ms };
}

/** Our PATH without Deno: a folder that has it is replaced by one below `root`, with links to all the rest. */
function pathWithoutDeno(root: string): string {
  const folders = (Deno.env.get("PATH") ?? "").split(":").filter((folder) => folder !== "");
  for (const name of ["node", "npm", "npx"]) {
    if (folders.some((folder) => isThere(`${folder}/${name}`))) continue;
    throw new Error(`Cannot find ${name} on the path: the README's command needs it`);
  }
  return folders.map((folder, index) => {
    if (!isThere(`${folder}/deno`)) return folder;
    const links = `${root}/${index}`;
    const original = Deno.realPathSync(folder);
    Deno.mkdirSync(links, { recursive: true });
    for (const { name } of Deno.readDirSync(original)) {
      if (name !== "deno") Deno.symlinkSync(`${original}/${name}`, `${links}/${name}`);
    }
    return links;
  }).join(":");
}

async function compareStarts(folder: string, { rounds, command }: Options): Promise<StartResult[]> {
  const runtimeDir = `${folder}/run`;
  const env = { ...Deno.env.toObject(), ...FREE_PORTS, WSWARD_RUNTIME_DIR: runtimeDir, NO_COLOR: "1" };
  await Deno.writeTextFile(`${folder}/empty.ts`, EMPTY_SERVER);
  const deno = [Deno.execPath(), "run"];
  const commands = new Map([["empty Deno.serve", [
    ...deno,
    "--no-prompt",
    "--allow-net=127.0.0.1",
    "empty.ts",
  ]]]);
  if (command.length > 0) commands.set(command.join(" "), [...command]);
  else {
    commands.set("main.ts", [...deno, ...startPermissions(runtimeDir), `${ROOT}main.ts`, "serve"]);
    if (isThere(EXECUTABLE)) commands.set("dist/wsward", [EXECUTABLE, "serve"]);
  }
  const times = new Map(Array.from(commands.keys(), (name) => [name, [] as number[]]));
  // The first turn fills the caches and makes the key file.
  for (let round = 0; round <= rounds; round++) {
    for (const [name, command] of commands) {
      const ms = await timeToReady({ command, folder, env }, WARM_DEADLINE_MS);
      if (round > 0) times.get(name)!.push(ms);
    }
  }
  const emptyMs = median(times.get("empty Deno.serve")!);
  return Array.from(times, ([name, all]) => ({
    name,
    medianMs: median(all),
    minMs: Math.min(...all),
    maxMs: Math.max(...all),
    ratio: median(all) / emptyMs,
  }));
}

function formatStarts(starts: readonly StartResult[]): string {
  const rows = starts.map(({ name, medianMs, minMs, maxMs, ratio }) => [
    name,
    ...[medianMs, minMs, maxMs].map((ms) => `${ms.toFixed(0)} ms`),
    ratio.toFixed(2),
  ]);
  return formatColumns(["started", "median", "least", "most", "ratio"], rows);
}

function formatSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

async function runGit(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("git", { args }).output();
  if (!success) throw new Error(`Cannot clone the repository: ${new TextDecoder().decode(stderr).trim()}`);
}

/** Everything but results goes to stderr, so that stdout is valid JSON with `--json`. */
function tell(line: string): void {
  console.error(line);
}

async function main(options: Options): Promise<number> {
  const folder = await Deno.makeTempDir({ prefix: "first-run-" });
  const interrupt = () => interruption.reject(new Error("interrupted"));
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, interrupt);
  try {
    const clone = options.clone ? await runClone(folder, options.test) : undefined;
    const starts = await compareStarts(folder, options);
    const { name, ratio } = starts.at(-1)!;
    const isFastEnough = ratio <= MOST_TIMES;
    if (options.json) {
      console.log(JSON.stringify({ clone, starts, mostTimes: MOST_TIMES, isFastEnough }, null, 2));
    } else console.log(formatStarts(starts));
    tell(
      `${isFastEnough ? "PASS" : "FAIL"}: ${name} takes ${
        ratio.toFixed(2)
      } times as long, at most ${MOST_TIMES}`,
    );
    return isFastEnough ? 0 : 1;
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(signal, interrupt);
    await Deno.remove(folder, { recursive: true });
  }
}

function readOptions(args: readonly string[]): Options & { readonly help: boolean } {
  const dashes = args.indexOf("--");
  const { values } = parseArgs({
    args: dashes < 0 ? [...args] : args.slice(0, dashes),
    options: {
      rounds: { type: "string", default: "30" },
      "no-clone": { type: "boolean", default: false },
      test: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.test && values["no-clone"]) {
    throw new Error("Cannot use --test with --no-clone: it runs in the clone");
  }
  return {
    rounds: readWhole("--rounds", values.rounds, { most: 9999 }),
    clone: !values["no-clone"],
    test: values.test,
    json: values.json,
    command: dashes < 0 ? [] : args.slice(dashes + 1),
    help: values.help,
  };
}

if (import.meta.main) await runScript({ help: HELP, readOptions, main });
