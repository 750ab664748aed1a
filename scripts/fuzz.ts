// Sends generated frames and handshakes, valid and broken, to the running program and to its parsers, and compares the
// results with a model of RFC 6455 that shares no code with them.

import { parseArgs } from "node:util";
import { Program, startServer } from "../tests/support/process.ts";
import { checkGrowth, MOST_MS, SHAPES } from "./fuzz/growth.ts";
import { fuzzParsers } from "./fuzz/parsers.ts";
import { fuzzProgram, PROGRAM_FLAGS } from "./fuzz/program.ts";
import { assertRan, messageOf, readWhole, readWord, runScript } from "./run_script.ts";

const PARTS = ["growth", "parsers", "program"] as const;
type Part = typeof PARTS[number];

const HELP = `Usage: deno task fuzz [options]

Sends generated frames and handshakes, right and broken, to the parsers and to the running program. First of all it
gives the parsers inputs of several sizes: the work may not grow faster than they, and none takes more than ${MOST_MS} ms.

  --seed N          the seed of all random choices (the time)
  --count N         how many frames and handshakes, a quarter of them for the parsers (1000000)
  --seconds N       how long each part may take at most (1800)
  --connections N   how many are open to the program at once (24)
  --only PART       ${PARTS.join(", ")}
  --case N          replay one case of the parsers or the program

Ends with
  0   PASS: all went as the model of RFC 6455 says
  1   FAIL; what is printed then says how to run the failed case again
  2   the command line can't be used`;

const MIB = 2 ** 20;

/** The parsers' share of the count. */
const PARSER_SHARE = 0.25;

/** How much resident memory may grow from half-way to the end; without a leak it has levelled off by then. */
const MAX_GROWTH_BYTES = 48 * MIB;

interface Order {
  readonly seed: number;
  readonly count: number;
  readonly seconds: number;
  readonly connections: number;
}

interface Options extends Order {
  readonly only: Part | undefined;
  readonly case: number | undefined;
}

/** A case whose result differs from the model's. */
class CaseError extends Error {
  constructor(part: string, seed: number, index: number, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(`${why}\nRun it again with: --only ${part} --seed ${seed} --case ${index}`, { cause });
  }
}

function runParsers({ seed, count, seconds }: Order): void {
  const startedMs = performance.now();
  let done = 0;
  let index = 0;
  for (; done < count && performance.now() - startedMs < seconds * 1000; index++) {
    try {
      done += fuzzParsers(seed, index);
    } catch (error) {
      throw new CaseError("parsers", seed, index, error);
    }
  }
  report("parsers", done, index, startedMs);
}

async function runProgram(order: Order): Promise<void> {
  await using program = startServer(PROGRAM_FLAGS);
  const port = await program.port("echo");
  const startedMs = performance.now();
  const state = { done: 0, next: 0, failure: undefined as CaseError | undefined };
  // In the first half code is compiled, buffers are made and the heap finds its size; after that nothing may grow.
  await drive(port, { ...order, count: order.count / 2, seconds: order.seconds / 2 }, startedMs, state);
  const before = await settled(program);
  await drive(port, order, startedMs, state);
  if (state.failure !== undefined) throw state.failure;
  const after = await settled(program);
  report("program", state.done, state.next, startedMs);
  console.log(
    `program: resident ${mib(before.residentBytes)} -> ${mib(after.residentBytes)} MiB, ` +
      `descriptors ${before.descriptors} -> ${after.descriptors}`,
  );
  if (after.descriptors > before.descriptors) throw new Error("The program has lost descriptors");
  if (after.residentBytes - before.residentBytes > MAX_GROWTH_BYTES) throw new Error("The program has grown");
  program.signal("SIGTERM");
  const { code } = await program.result();
  if (code !== 0) throw new Error(`The program ended with ${code}`);
  const errors = program.read("websocket_errors.log").split("\n");
  const own = errors.find((line) => /process\.unhandled|endpoint\.|handler\.error/.test(line));
  if (own !== undefined) throw new Error(`The program has logged an error of its own: ${own}`);
}

async function runGrowth(): Promise<void> {
  assertRan(SHAPES.length, "shapes");
  let slowest = { name: "", ms: 0 };
  const faults: string[] = [];
  for (const shape of SHAPES) {
    try {
      const ms = await checkGrowth(shape);
      if (ms >= slowest.ms) slowest = { name: shape.name, ms };
    } catch (error) {
      faults.push(messageOf(error));
    }
  }
  if (faults.length > 0) throw new Error(faults.join("\n"));
  console.log(`growth: ${SHAPES.length} shapes, at most ${slowest.ms.toFixed(1)} ms (${slowest.name})`);
}

async function drive(
  port: number,
  { seed, count, seconds, connections }: Order,
  startedMs: number,
  state: { done: number; next: number; failure: CaseError | undefined },
): Promise<void> {
  await Promise.all(Array.from({ length: connections }, async () => {
    while (state.done < count && state.failure === undefined) {
      if (performance.now() - startedMs > seconds * 1000) return;
      const index = state.next++;
      try {
        // Added only after the await: other connections count meanwhile, and `+= await` would lose that.
        const frames = await fuzzProgram(port, seed, index);
        state.done += frames;
      } catch (error) {
        state.failure ??= new CaseError("program", seed, index, error);
      }
    }
  }));
}

/** The program's usage once it has closed its side of the connections too. */
async function settled(program: Program) {
  let last = await program.usage();
  for (let quiet = 0; quiet < 3;) {
    await new Promise((resolve) => setTimeout(resolve, 300));
    const usage = await program.usage();
    quiet = usage.descriptors === last.descriptors ? quiet + 1 : 0;
    last = usage;
  }
  return last;
}

function report(part: string, done: number, cases: number, startedMs: number): void {
  assertRan(done, `cases for the ${part}`);
  const seconds = (performance.now() - startedMs) / 1000;
  console.log(`${part}: ${done} frames and handshakes in ${cases} cases, ${seconds.toFixed(1)} s`);
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(0);
}

async function replay(part: string, seed: number, index: number): Promise<void> {
  if (part === "parsers") return void fuzzParsers(seed, index);
  await using program = startServer(PROGRAM_FLAGS);
  await fuzzProgram(await program.port("echo"), seed, index);
}

async function main({ only, case: index, ...order }: Options): Promise<number> {
  const { seed, count } = order;
  console.log(`seed ${seed}`);
  try {
    if (index !== undefined) {
      await replay(only ?? "program", seed, index);
    } else {
      const isAsked = (part: Part) => only === undefined || only === part;
      const share = only === undefined ? PARSER_SHARE : 1;
      if (isAsked("growth")) await runGrowth();
      if (isAsked("parsers")) runParsers({ ...order, count: count * share });
      if (isAsked("program")) {
        await runProgram({ ...order, count: only === undefined ? count * (1 - share) : count });
      }
    }
  } catch (error) {
    console.log(`FAIL: ${messageOf(error)}`);
    return 1;
  }
  console.log("PASS");
  return 0;
}

function readOptions(args: readonly string[]): Options & { readonly help: boolean } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: "string", default: String(Date.now() % 2 ** 31) },
      count: { type: "string", default: "1000000" },
      seconds: { type: "string", default: "1800" },
      connections: { type: "string", default: "24" },
      only: { type: "string" },
      case: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const only = values.only === undefined ? undefined : readWord("--only", values.only, PARTS);
  if (only === "growth" && values.case !== undefined) {
    throw new Error("Cannot use --case with --only growth: it is for the parsers and the program");
  }
  return {
    seed: readWhole("--seed", values.seed, { least: 0, most: 2 ** 32 - 1 }),
    count: readWhole("--count", values.count, { most: 1e12 }),
    seconds: readWhole("--seconds", values.seconds, { most: 1e6 }),
    connections: readWhole("--connections", values.connections, { most: 1000 }),
    only,
    case: values.case === undefined ? undefined : readWhole("--case", values.case, { least: 0, most: 1e12 }),
    help: values.help,
  };
}

if (import.meta.main) await runScript({ help: HELP, readOptions, main });
