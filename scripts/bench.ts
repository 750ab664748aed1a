// Compares wsward with other echo servers in interleaved rounds: messages per second, round trips and server CPU.
import { parseArgs } from "node:util";
import {
  formatHandshakes,
  HANDSHAKE_ALGORITHMS,
  type HandshakeResult,
  measureHandshakes,
} from "./bench/handshakes.ts";
import type { LoadOrder, LoadResult } from "./bench/load.ts";
import { formatPorts, measurePorts } from "./bench/ports.ts";
import { formatReport, type Sample, summarize } from "./bench/report.ts";
import { DEFAULT_ROWS, MESSAGE_KINDS, parseRow, type Row } from "./bench/rows.ts";
import { readCertificate, type Server, SERVER_NAMES, type ServerName, startServer } from "./bench/servers.ts";
import { assertRan, messageOf, readWhole, readWord, runScript } from "./run_script.ts";

const HELP = `Usage: deno task bench [options] [-- wsward flags]

Compares wsward with other echo servers, interleaved over several rounds.

  --rounds N        how often each server is driven in each row (5)
  --seconds N       how long each time (2)
  --rows LIST       [IDLE+]CONNECTIONSxIN_FLIGHTxBYTES[:KIND], separated by commas, KIND one of ${MESSAGE_KINDS}
                    (${DEFAULT_ROWS.map(({ name }) => name)})
  --servers LIST    separated by commas (${SERVER_NAMES})
  --tls             all of them with TLS; websockets is left out
  --json            print JSON

Ends with 0 if everything that was started was measured, with 1 if not, with 2 if the command line can't be used.`;

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly rows: readonly Row[];
  readonly servers: readonly ServerName[];
  readonly tls: boolean;
  readonly json: boolean;
  readonly wswardFlags: readonly string[];
}

/** Servers that need software which not every machine has. */
const OPTIONAL_SERVERS: ReadonlySet<ServerName> = new Set(["ws", "websockets"]);
const WARM_UP_SECONDS = 0.3;
/** How long a load may overrun before it is given up. */
const LOAD_GRACE_MS = 10_000;

/** Runs the benchmark; returns the exit code, 0 if everything that was started was measured. */
async function main(options: Options): Promise<number> {
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort(new Error("interrupted"));
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, interrupt);
  const folder = await Deno.makeTempDir({ prefix: "bench-" });
  const servers: Server[] = [];
  try {
    await startServers(options, folder, servers, interrupted.signal);
    const { samples, failures } = await driveAll(options, servers, interrupted.signal);
    assertRan(samples.length, "measurements");
    const handshakes = await measureAllHandshakes(options, folder, interrupted.signal);
    const ports = options.servers.includes("wsward") && !options.tls
      ? await measurePorts(options.rounds, options.seconds)
      : [];
    const rows = summarize(samples);
    const versions = Object.fromEntries(servers.map(({ name, version }) => [name, version]));
    console.log(
      options.json
        ? JSON.stringify({ machine: machine(), versions, options, failures, rows, handshakes, ports })
        : [
          formatReport(rows),
          formatHandshakes(handshakes),
          ...ports.length === 0 ? [] : [formatPorts(ports)],
        ]
          .join("\n\n"),
    );
    return failures.length === 0 ? 0 : 1;
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    return 130;
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
    await Deno.remove(folder, { recursive: true });
    for (const signal of signals) Deno.removeSignalListener(signal, interrupt);
  }
}

/** Puts each server into `started` as soon as it runs, so that it is ended even if a later one fails. */
async function startServers(
  options: Options,
  folder: string,
  started: Server[],
  signal: AbortSignal,
): Promise<void> {
  tell(`${machine()}, ${options.rounds} rounds of ${options.seconds} s${options.tls ? ", TLS" : ""}`);
  for (const name of options.servers) {
    const ownFolder = `${folder}/${name}`;
    await Deno.mkdir(ownFolder);
    try {
      const server = await startServer(name, {
        folder: ownFolder,
        wswardFlags: options.wswardFlags,
        tls: options.tls,
        signal,
      });
      started.push(server);
      tell(`  ${name}: ${server.version}`);
    } catch (error) {
      signal.throwIfAborted();
      if (!OPTIONAL_SERVERS.has(name)) throw new Error(`Cannot start ${name}: ${messageOf(error)}`);
      tell(`  ${name}: skipped, ${messageOf(error)}`);
    }
  }
  tell("");
}

/** Drives the servers one after the other through all rows, round by round, so that a slow minute hits all alike. */
async function driveAll(
  options: Options,
  servers: readonly Server[],
  signal: AbortSignal,
): Promise<{ samples: Sample[]; failures: string[] }> {
  const samples: Sample[] = [];
  const failures: string[] = [];
  for (let round = 1; round <= options.rounds; round++) {
    for (const row of options.rows) {
      for (const server of servers) {
        try {
          const result = await drive(server, row, options, signal);
          samples.push({ round, row, server: server.name, result });
        } catch (error) {
          signal.throwIfAborted();
          failures.push(`round ${round}, ${row.name}, ${server.name}: ${messageOf(error)}`);
          tell(failures.at(-1)!);
        }
      }
    }
  }
  return { samples, failures };
}

async function measureAllHandshakes(
  { servers, seconds }: Options,
  folder: string,
  signal: AbortSignal,
): Promise<HandshakeResult[]> {
  const results: HandshakeResult[] = [];
  if (!servers.includes("wsward")) return results;
  for (const alg of HANDSHAKE_ALGORITHMS) {
    const ownFolder = `${folder}/${alg}`;
    await Deno.mkdir(ownFolder);
    results.push(await measureHandshakes(alg, { folder: ownFolder, seconds, signal }));
  }
  return results;
}

async function drive(
  server: Server,
  row: Row,
  options: Options,
  interrupted: AbortSignal,
): Promise<LoadResult> {
  const order: LoadOrder = {
    port: server.port,
    serverPid: server.pid,
    row,
    caCert: options.tls ? readCertificate() : undefined,
    seconds: options.seconds,
    warmUpSeconds: WARM_UP_SECONDS,
  };
  const limitMs = (options.seconds + WARM_UP_SECONDS) * 1000 + LOAD_GRACE_MS;
  const load = new URL("bench/load.ts", import.meta.url).href;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    // Reading /proc needs all permissions.
    args: ["run", "--allow-all", load, JSON.stringify(order)],
    stdin: "null",
    signal: AbortSignal.any([interrupted, AbortSignal.timeout(limitMs)]),
  }).output();
  if (!success) {
    throw new Error(new TextDecoder().decode(stderr).trim() || "the load generator did not end in time");
  }
  return JSON.parse(new TextDecoder().decode(stdout));
}

function readOptions(args: readonly string[]): Options & { readonly help: boolean } {
  const dashes = args.indexOf("--");
  const { values } = parseArgs({
    args: dashes < 0 ? [...args] : args.slice(0, dashes),
    options: {
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "2" },
      rows: { type: "string" },
      servers: { type: "string", default: SERVER_NAMES.join() },
      tls: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const asked = values.servers.split(",").map((name) => readWord("--servers", name, SERVER_NAMES));
  return {
    rounds: readWhole("--rounds", values.rounds, { most: 9999 }),
    seconds: readSeconds(values.seconds),
    rows: values.rows?.split(",").map(parseRow) ?? DEFAULT_ROWS,
    servers: SERVER_NAMES.filter((name) => asked.includes(name)),
    tls: values.tls,
    json: values.json,
    wswardFlags: dashes < 0 ? [] : args.slice(dashes + 1),
    help: values.help,
  };
}

/** A number of seconds, which may have decimals. */
function readSeconds(text: string): number {
  if (/^(?=.*[1-9])\d{1,4}(\.\d+)?$/.test(text)) return Number(text);
  throw new Error(`Cannot use --seconds "${text}": it must be a positive number below 10000`);
}

function machine(): string {
  return `${Deno.build.os} ${Deno.build.arch}, ${navigator.hardwareConcurrency} cores`;
}

/** Everything but results goes to stderr, so that stdout is valid JSON with `--json`. */
function tell(line: string): void {
  console.error(line);
}

if (import.meta.main) await runScript({ help: HELP, readOptions, main });
