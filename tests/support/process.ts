// The program as a user runs it: a process of its own, in an empty folder, from the source tree with the permissions of
// the start task, or as the executable that is to be tested.

import { existsSync } from "node:fs";
import config from "../../deno.json" with { type: "json" };

const ROOT = new URL("../../", import.meta.url).pathname;
const MAIN = `${ROOT}main.ts`;

/** The executable that is tested in place of the source tree, if WSWARD_TEST_EXECUTABLE gives an absolute path. */
export const EXECUTABLE = Deno.env.get("WSWARD_TEST_EXECUTABLE");

/** How long any wait for a process may take, in milliseconds. */
const TIMEOUT_MS = 20_000;

/** What a process left behind. */
export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Text that a process writes, as it comes. */
class Output {
  text = "";
  #wake: (() => void)[] = [];
  readonly ended: Promise<void>;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.ended = (async () => {
      for await (const part of stream.pipeThrough(new TextDecoderStream())) {
        this.text += part;
        for (const wake of this.#wake.splice(0)) wake();
      }
    })();
  }

  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.text);
      if (match !== null) return match;
      const more = new Promise<void>((resolve) => this.#wake.push(resolve));
      const hasEnded = await Promise.race([more.then(() => false), this.ended.then(() => true)]);
      if (hasEnded && pattern.exec(this.text) === null) {
        throw new Error(`Ended without ${pattern}: ${JSON.stringify(this.text)}`);
      }
    }
  }
}

/** Where a program runs; by default in a new empty folder without variables. */
export interface StartOptions {
  readonly folder?: string;
  readonly env?: Record<string, string>;
  /** The most file descriptors that it may have; the limit of this process if left out. */
  readonly maxDescriptors?: number;
  /** Whether the log on the terminal is a pipe that nobody reads. */
  readonly hasUnreadLog?: boolean;
  /** Permission flags besides those of the start task, with `$WSWARD_RUNTIME_DIR` for the folder of the sockets. */
  readonly permissions?: readonly string[];
  /** Another module in the place of `main.ts`; the executable has its own. */
  readonly main?: string | undefined;
  /** Permission flags in place of all those. */
  readonly onlyPermissions?: readonly string[];
}

/** What a process takes of the machine. */
export interface Usage {
  /** Open file descriptors. */
  readonly descriptors: number;
  /** Resident memory. */
  readonly residentBytes: number;
  /** The most that it ever was. */
  readonly peakBytes: number;
}

/** A command line with its variables, as `Deno.Command` takes them. */
export interface ProgramCommand {
  readonly path: string;
  readonly args: string[];
  readonly env: Record<string, string>;
  readonly clearEnv: boolean;
}

/**
 * How the program is started with `args`: as `main.ts` with the flags `permissions`; or as the executable, which has
 * its own, with no variables but `env` and one that says where it may unpack itself.
 */
export function programCommand(
  args: readonly string[],
  permissions: readonly string[],
  env: Readonly<Record<string, string>> = {},
  main = MAIN,
): ProgramCommand {
  if (EXECUTABLE === undefined) {
    const command = ["run", ...permissions, main, ...args];
    return { path: Deno.execPath(), args: command, env: { ...env }, clearEnv: false };
  }
  const cache = { XDG_CACHE_HOME: `${EXECUTABLE}.cache` };
  return { path: EXECUTABLE, args: [...args], env: { ...cache, ...env }, clearEnv: true };
}

/** The program with `args`, or `deno task` if that is the first of them. Dispose of it to be sure that it has ended. */
export class Program implements AsyncDisposable {
  readonly folder: string;
  readonly runtimeDir: string;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly #child: Deno.ChildProcess;
  /** The folders that nobody else removes. */
  readonly #ownFolders: string[] = [];

  constructor(
    args: readonly string[],
    { folder, env = {}, maxDescriptors, hasUnreadLog = false, permissions = [], onlyPermissions, main }:
      StartOptions = {},
  ) {
    this.folder = folder ?? this.#makeFolder();
    this.runtimeDir = env.WSWARD_RUNTIME_DIR ?? `${this.#makeFolder()}/run`;
    const granted = onlyPermissions ?? startPermissions(this.runtimeDir, permissions);
    const variables = { WSWARD_RUNTIME_DIR: this.runtimeDir, ...env, NO_COLOR: "1" };
    const command = args[0] === "task"
      ? { path: Deno.execPath(), args: [...args], env: variables, clearEnv: false }
      : programCommand(args, granted, variables, main);
    const limit = maxDescriptors === undefined ? "" : `ulimit -n ${maxDescriptors} &&`;
    // Whoever holds the reading end without reading ends with the program, which holds what it reads itself.
    const pipe = hasUnreadLog ? `mkfifo log.pipe && exec 2<>log.pipe &&` : "";
    const isPlain = limit === "" && pipe === "";
    this.#child = new Deno.Command(isPlain ? command.path : "/bin/sh", {
      ...command,
      args: isPlain ? command.args : ["-c", `${limit} ${pipe} exec "$0" "$@"`, command.path, ...command.args],
      cwd: this.folder,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.stdout = new Output(this.#child.stdout);
    this.stderr = new Output(this.#child.stderr);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The port in an endpoint's ready line, once it is there. */
  async port(endpoint: "echo" | "secure" | "upstream"): Promise<number> {
    // Where the log is JSON, the ready line is its first record.
    const [, port] = await this.#bounded(
      `the ready line of ${endpoint}`,
      Promise.any([
        this.stdout.until(new RegExp(`:(\\d+)/ \\(${endpoint}\\)\n`)),
        this.stderr.until(/"event":"server.started".*"addresses":"wss?:[^"]*:(\d+)\/"/),
      ]),
    );
    return Number(port);
  }

  /** Resolves when what it prints matches. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    return await this.#bounded(`${pattern} on stdout`, this.stdout.until(pattern));
  }

  /** Resolves when the log on the terminal matches. */
  async logged(pattern: RegExp): Promise<string> {
    return (await this.#bounded(`${pattern} in the log`, this.stderr.until(pattern)))[0];
  }

  /** What the process takes now. Throws where there is no `/proc`, and when it has ended. */
  async usage(): Promise<Usage> {
    // The runtime itself reads `/proc` with all permissions only.
    const script = `ls /proc/${this.pid}/fd | wc -l && grep -E 'VmHWM|VmRSS' /proc/${this.pid}/status`;
    const { success, stdout } = await new Deno.Command("sh", { args: ["-c", script], stderr: "null" })
      .output();
    const match = /^(\d+)\s+VmHWM:\s+(\d+) kB\s+VmRSS:\s+(\d+) kB/.exec(new TextDecoder().decode(stdout));
    if (!success || match === null) {
      throw new Error(`Cannot read the usage of process ${this.pid}: it has ended`);
    }
    const [descriptors = 0, peak = 0, resident = 0] = match.slice(1).map(Number);
    return { descriptors, residentBytes: resident * 1024, peakBytes: peak * 1024 };
  }

  /** Resolves when the start is over: the private socket of the last endpoint is opened last, after the ready line. */
  async atRest(lastEndpoint: "echo" | "secure"): Promise<void> {
    const socket = `${this.runtimeDir}/${lastEndpoint}.sock`;
    await this.#polled(socket, () => existsSync(socket), Boolean);
  }

  /** What the process takes when its start is over. */
  async usageAtRest(lastEndpoint: "echo" | "secure"): Promise<Usage> {
    await this.atRest(lastEndpoint);
    return await this.usage();
  }

  /** Resolves with the first usage that `isDone` accepts; nothing else tells when a process has let go of something. */
  async usageUntil(what: string, isDone: (usage: Usage) => boolean): Promise<Usage> {
    return await this.#polled(what, () => this.usage(), isDone);
  }

  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** The text of a file in the program's folder. */
  read(name: string): string {
    return Deno.readTextFileSync(`${this.folder}/${name}`);
  }

  /** Waits for the end. */
  async result(): Promise<Result> {
    const { code } = await this.#bounded("the process to end", this.#child.status);
    await Promise.all([this.stdout.ended, this.stderr.ended]);
    return { code, stdout: this.stdout.text, stderr: this.stderr.text };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#child.status;
    await Promise.all([this.stdout.ended, this.stderr.ended]);
    for (const folder of this.#ownFolders) await Deno.remove(folder, { recursive: true });
  }

  #makeFolder(): string {
    const folder = Deno.makeTempDirSync();
    this.#ownFolders.push(folder);
    return folder;
  }

  /** Looks again and again, for what tells nobody when it happens. */
  async #polled<Value>(
    what: string,
    look: () => Value | Promise<Value>,
    isDone: (seen: Value) => boolean,
  ): Promise<Value> {
    const deadlineMs = performance.now() + TIMEOUT_MS;
    for (;;) {
      const seen = await look();
      if (isDone(seen)) return seen;
      if (performance.now() > deadlineMs) {
        throw new Error(
          `Timed out waiting for ${what}: ${JSON.stringify(seen)}; stderr: ${this.stderr.text.slice(-2000)}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async #bounded<Value>(what: string, wait: Promise<Value>): Promise<Value> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        this.#child.kill("SIGKILL");
        reject(new Error(`Timed out waiting for ${what}; stderr: ${this.stderr.text}`));
      }, TIMEOUT_MS);
    });
    try {
      return await Promise.race([wait, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The permission flags of the start task and some more, for a runtime folder. */
export function startPermissions(runtimeDir: string, more: readonly string[] = []): string[] {
  const flags = config.tasks.start.split(" ")
    .filter((word) => word.startsWith("--allow-") || word === "--no-prompt");
  return [...flags, ...more].map((word) => word.replaceAll("$WSWARD_RUNTIME_DIR", runtimeDir));
}

/** Starts the server on free ports. */
export function startServer(args: readonly string[] = [], options?: StartOptions): Program {
  return new Program(["serve", "--echo-port", "0", "--secure-port", "0", ...args], options);
}

/** Runs `main.ts` with `args` to its end. */
export async function run(args: readonly string[], options?: StartOptions): Promise<Result> {
  await using program = new Program(args, options);
  return await program.result();
}
