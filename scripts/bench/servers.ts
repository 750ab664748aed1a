// The echo servers that the benchmark compares: how each is started, or why it can't be.
import denoConfig from "../../deno.json" with { type: "json" };

/** The servers, in the order in which each round drives them; the others are compared with the first. */
export const SERVER_NAMES = ["bare", "wsward", "ws", "websockets"] as const;

/** The name of a server. */
export type ServerName = typeof SERVER_NAMES[number];

/** A running echo server, in a process of its own. */
export interface Server {
  readonly name: ServerName;
  /** The software and its versions. */
  readonly version: string;
  readonly pid: number;
  readonly port: number;
  /** Ends the process at once; harmless when repeated. */
  stop(): Promise<void>;
}

/** How to start a server. */
export interface StartOptions {
  /** An empty folder for what the server writes. */
  readonly folder: string;
  /** Whether it uses TLS, with the certificate of the tests. */
  readonly tls?: boolean;
  /** More flags for wsward. */
  readonly wswardFlags: readonly string[];
  /** Aborts the start. */
  readonly signal: AbortSignal;
}

interface ServerCommand {
  readonly version: string;
  readonly program: string;
  readonly args: readonly string[];
}

const CERTIFICATE = pathOf("../../tests/fixtures/tls/server.pem");
const KEY = pathOf("../../tests/fixtures/tls/server.key.pem");
const READY_DEADLINE_MS = 20_000;
const READY_LINE = /^Listening on wss?:\/\/127\.0\.0\.1:(\d+)\/ /m;
const STDERR_KEPT = 2000;

const COMMANDS: Readonly<
  Record<ServerName, (options: StartOptions) => ServerCommand | Promise<ServerCommand>>
> = {
  bare: ({ tls }) => ({
    version: `Deno ${Deno.version.deno}, Deno.serve and Deno.upgradeWebSocket`,
    program: Deno.execPath(),
    args: [
      "run",
      "--no-prompt",
      "--allow-net=127.0.0.1",
      "--allow-read",
      pathOf("bare.ts"),
      ...tlsFiles(tls),
    ],
  }),
  wsward: wswardCommand,
  ws: wsCommand,
  websockets: websocketsCommand,
};

/** Starts a server and waits for its ready line. Throws an `Error` that says why it can't be started. */
export async function startServer(name: ServerName, options: StartOptions): Promise<Server> {
  return await start(name, await COMMANDS[name](options), options);
}

/** Starts wsward with its secure endpoint; otherwise as `startServer`. */
export async function startSecureServer(options: StartOptions): Promise<Server> {
  return await start("wsward", await wswardCommand(options, ["--no-echo", "--secure-port", "0"]), options);
}

async function start(
  name: ServerName,
  { version, program, args }: ServerCommand,
  options: StartOptions,
): Promise<Server> {
  options.signal.throwIfAborted();
  const child = new Deno.Command(program, {
    args: [...args],
    cwd: options.folder,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stop = async () => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await child.status;
  };
  // Both pipes are read to the end, or a full one would stop a server that writes much.
  const ready = Promise.withResolvers<number>();
  const errors = collect(child.stderr, () => {});
  const output = collect(child.stdout, (text) => {
    const port = READY_LINE.exec(text)?.[1];
    if (port !== undefined) ready.resolve(Number(port));
  });
  output.ended.then(async () => {
    await errors.ended;
    ready.reject(new Error(`it ended before it was ready: ${errors.text().trim() || "it said nothing"}`));
  });
  const abort = () => ready.reject(options.signal.reason);
  options.signal.addEventListener("abort", abort);
  const deadline = setTimeout(() => ready.reject(new Error("it was not ready in time")), READY_DEADLINE_MS);
  try {
    return { name, version, pid: child.pid, port: await ready.promise, stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    clearTimeout(deadline);
    options.signal.removeEventListener("abort", abort);
  }
}

async function wswardCommand(
  { folder, wswardFlags, tls }: StartOptions,
  endpointFlags: readonly string[] = ["--no-secure", "--echo-port", "0", "--echo-prefix", ""],
): Promise<ServerCommand> {
  const main = pathOf("../../main.ts");
  if (!await exists(main)) throw new Error("there is no main.ts");
  const runtimeDir = `${folder}/run`;
  await Deno.mkdir(runtimeDir, { mode: 0o700 });
  const sockets = ["echo", "secure"].map((name) => `unix:${runtimeDir}/${name}.sock`);
  return {
    version: `Deno ${Deno.version.deno}, wsward ${denoConfig.version}`,
    program: Deno.execPath(),
    args: [
      "run",
      // The same as in the start task and the executable.
      "--v8-flags=--max-semi-space-size=8",
      "--no-prompt",
      `--allow-net=${["127.0.0.1", ...sockets].join()}`,
      `--allow-read=${[folder, CERTIFICATE, KEY]}`,
      `--allow-write=${folder}`,
      "--allow-env=WSWARD_*",
      main,
      "serve",
      ...endpointFlags,
      // The others have no such limits.
      ...["--message-rate", "unlimited", "--byte-rate", "unlimited"],
      ...["--max-connections-per-ip", "unlimited", "--handshake-rate", "unlimited"],
      ...(tls ? ["--tls-cert", CERTIFICATE, "--tls-key", KEY] : []),
      ...[
        "--log-file",
        `${folder}/errors.log`,
        "--key-file",
        `${folder}/wsward.key`,
        "--runtime-dir",
        runtimeDir,
      ],
      ...wswardFlags,
    ],
  };
}

/** npm `ws` comes from Deno's own cache, where the tests need it too. */
async function wsCommand({ tls }: StartOptions): Promise<ServerCommand> {
  const node = await tryToRun("node", ["--version"]);
  // In a Deno task, this name may stand for Deno itself.
  if (node === undefined || !node.startsWith("v")) throw new Error("there is no Node");
  const specifier = denoConfig.imports.ws;
  const version = specifier.slice(specifier.lastIndexOf("@") + 1);
  // Does nothing if the package is there already.
  await tryToRun(Deno.execPath(), ["cache", "--no-config", specifier]);
  const info: { npmCache?: string } = JSON.parse(await tryToRun(Deno.execPath(), ["info", "--json"]) ?? "{}");
  const folder = await findPackage(info.npmCache, `ws/${version}`);
  if (folder === undefined) throw new Error(`${specifier} can't be downloaded`);
  return {
    version: `Node ${node}, ws ${version}`,
    program: "node",
    args: [pathOf("ws_server.mjs"), folder, ...tlsFiles(tls)],
  };
}

/** Where a package is in Deno's cache, which has a folder for each registry. */
async function findPackage(cache: string | undefined, name: string): Promise<string | undefined> {
  if (cache === undefined) return undefined;
  for await (const registry of Deno.readDir(cache)) {
    const folder = `${cache}/${registry.name}/${name}`;
    if (await exists(`${folder}/package.json`)) return folder;
  }
  return undefined;
}

async function websocketsCommand({ tls }: StartOptions): Promise<ServerCommand> {
  if (tls) throw new Error("it is measured without TLS only");
  const question =
    "import sys, websockets.version as w; print('Python %d.%d,' % sys.version_info[:2], w.version)";
  for (const program of ["python3", "/usr/bin/python3"]) {
    const answer = await tryToRun(program, ["-c", question]);
    if (answer === undefined) continue;
    return { version: answer.replace(",", ", websockets"), program, args: [pathOf("websockets_server.py")] };
  }
  throw new Error("there is no Python with websockets");
}

/** The certificate that all servers show with `--tls`, as PEM. */
export function readCertificate(): string {
  return Deno.readTextFileSync(CERTIFICATE);
}

function tlsFiles(tls = false): string[] {
  return tls ? [CERTIFICATE, KEY] : [];
}

/** The output of a program; undefined if it can't be run, or fails. */
async function tryToRun(program: string, args: readonly string[]): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command(program, { args: [...args], stderr: "null" }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch {
    return undefined;
  }
}

interface Collected {
  /** The last part of the output. */
  text(): string;
  readonly ended: Promise<void>;
}

function collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>, onText: (text: string) => void): Collected {
  let text = "";
  const ended = (async () => {
    for await (const part of stream.pipeThrough(new TextDecoderStream())) {
      text = (text + part).slice(-STDERR_KEPT);
      onText(text);
    }
  })();
  return { text: () => text, ended };
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}

function pathOf(relative: string): string {
  return decodeURIComponent(new URL(relative, import.meta.url).pathname);
}
