// Holds the running program under attack and measures that good clients do not suffer.

import { parseArgs } from "node:util";
import { formatColumns } from "../src/cli/client/printed.ts";
import { LoadClient } from "./load.ts";
import { assertRan, messageOf, readWhole, readWord, runScript } from "./run_script.ts";
import type { AttackCounts, AttackOrder } from "./soak/attackers.ts";
import { ATTACKS, type ServerKind } from "./soak/attacks.ts";
import { checkHandshakes, checkIdle, checkMemory } from "./soak/checks.ts";
import { bounded, GoodClients, type GoodTargets, Histogram } from "./soak/good_clients.ts";
import { MEMORY_LIMIT_MIB, Target } from "./soak/target.ts";

const MIB = 2 ** 20;
const ATTACKERS = decodeURIComponent(new URL("./soak/attackers.ts", import.meta.url).pathname);

const GOOD_CLIENTS = 10;
/** How many times as long the good clients' p99 may take under attack, and what is fast enough in any case. */
const MOST_TIMES_SLOWER = 3;
const FAST_ENOUGH_MS = 20;

/** --max-buffered-memory, plus what the program may take besides. */
const MOST_MEMORY_GROWTH_MIB = MEMORY_LIMIT_MIB + 64;

/** Real attackers are on other machines: these get only the CPU time that the server leaves. */
const ATTACKERS_NICE = 19;

/** The other checks; `mix` is all attacks on a server with the defaults, at once. */
const CHECKS = ["mix", "memory", "idle", "handshakes"] as const;
const NAMES: readonly string[] = [...ATTACKS.map(({ name }) => name), ...CHECKS];

const HELP = `Usage: deno task soak [options]

Holds the running program under attack and measures that good clients do not suffer.

  --only LIST       attacks or checks, separated by commas (all)
  --list            print the names of attacks and checks, and run none
  --seconds N       how long good clients are alone and how long each attack lasts; the mix lasts 4 times that (8)
  --upstream        in front of another server, in place of both endpoints: attacks and good clients go through to it
  --attack-rate N   attacks a second in the mix; on two cores many more leave the good clients no time (40)

Under each attack, and under the mix of all, good clients lose nothing; the slowest hundredth of their messages take at
most ${MOST_TIMES_SLOWER} times as long as without, or ${FAST_ENOUGH_MS} ms; and the process grows by at most ${MOST_MEMORY_GROWTH_MIB} MiB. Ends with
  0   all of this holds, and the other checks have passed
  1   something does not hold, or a check has failed
  2   the command line can't be used`;

interface Options {
  readonly only: readonly string[];
  readonly list: boolean;
  readonly seconds: number;
  readonly attackRate: number;
  readonly isUpstream: boolean;
}

/** An attack, or the mix of them. */
interface Trial {
  readonly names: readonly string[];
  readonly kind: ServerKind;
  readonly flags: readonly string[];
  readonly seconds: number;
  readonly attackRate?: number;
  readonly isUpstream: boolean;
}

/** What good clients saw, in milliseconds, and what went wrong, if anything did. */
interface Result {
  readonly attacks: number;
  readonly quietP99: number;
  readonly p99: number;
  readonly longest: number;
  readonly growthMib: number;
  readonly faults: readonly string[];
}

async function attackWith(trial: Trial, target: Target): Promise<AttackCounts> {
  const order: AttackOrder = {
    names: trial.names,
    targets: target.targets,
    seconds: trial.seconds,
    ...(trial.attackRate === undefined ? {} : { perSecond: trial.attackRate }),
  };
  const { success, stdout } = await new Deno.Command("nice", {
    args: [
      ...["-n", String(ATTACKERS_NICE), Deno.execPath(), "run", "--no-prompt"],
      ...["--allow-net=127.0.0.1", ATTACKERS, JSON.stringify(order)],
    ],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error("Cannot attack: the attackers failed");
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function runTrial(trial: Trial): Promise<Result> {
  const faults: string[] = [];
  const collect = async (work: Promise<unknown>) => {
    await work.catch((error) => faults.push(messageOf(error)));
  };
  await using target = await Target.start(trial);
  const { program, targets, token } = target;
  const at = (port: number) => ({ port, hostname: "::1", certificate: targets.certificate });
  const goodTargets: GoodTargets = {
    echo: at(targets.echo),
    ...(token === undefined ? {} : { secure: { ...at(targets.secure), token } }),
  };
  const good = await GoodClients.start(goodTargets, GOOD_CLIENTS);
  await sleep(1000);
  const quiet = await measureQuiet(good, trial);
  const before = await program.usage();
  const attacked = good.histogram = new Histogram();
  // Only this makes the program ask some issuers again.
  if (trial.kind.endsWith("-issuer")) program.signal("SIGHUP");
  const counts = await attackWith(trial, target);
  const quietAgain = await measureQuiet(good, trial);
  await collect(good.stop());
  const { peakBytes } = await program.usage();
  await collect(bounded(assertServes(goodTargets, targets.admin)));
  await collect(target.stop());
  const attacks = Object.values(counts).reduce((sum, { begun }) => sum + begun, 0);
  for (const name of trial.names) assertRan(counts[name]?.begun ?? 0, `attacks of the kind ${name}`);
  assertRan(Math.min(quiet.count, attacked.count), "messages of good clients");
  // The better of the two quiet times, so that other work on the machine does not count.
  const quietP99 = Math.min(quiet.quantile(0.99), quietAgain.quantile(0.99) || Infinity);
  const [p99, longest] = [attacked.quantile(0.99), attacked.quantile(1)];
  if (quietP99 > FAST_ENOUGH_MS) {
    faults.push(`this machine is too busy to tell: alone p99 is more than ${FAST_ENOUGH_MS} ms`);
  }
  const mostMs = Math.max(FAST_ENOUGH_MS, MOST_TIMES_SLOWER * quietP99);
  if (!(p99 <= mostMs)) faults.push(`p99 is more than ${mostMs.toFixed(0)} ms`);
  const growthMib = (peakBytes - before.residentBytes) / MIB;
  if (growthMib > MOST_MEMORY_GROWTH_MIB) {
    faults.push(`it has grown by more than ${MOST_MEMORY_GROWTH_MIB} MiB`);
  }
  return { attacks, quietP99, p99, longest, growthMib, faults };
}

/** Measures for half the time of an attack. */
async function measureQuiet(good: GoodClients, { seconds }: Trial): Promise<Histogram> {
  const quiet = good.histogram = new Histogram();
  await sleep(seconds * 1000 / 2);
  good.histogram = new Histogram();
  return quiet;
}

/** Throws unless new clients and the operator are served after an attack. */
async function assertServes({ echo }: GoodTargets, admin: number): Promise<void> {
  (await LoadClient.connect(echo)).close();
  const response = await fetch(`http://127.0.0.1:${admin}/healthz`, { signal: AbortSignal.timeout(3000) });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`The admin listener answered ${response.status}`);
}

function trialOf(name: string, { seconds, attackRate, isUpstream }: Options): Trial {
  if (name !== "mix") {
    const { server = "plain" } = ATTACKS.find((attack) => attack.name === name)!;
    return { names: [name], kind: server, flags: [], seconds, isUpstream };
  }
  return {
    names: ATTACKS.filter(({ server = "plain", needsTokens = false }) =>
      server === "plain" && !(isUpstream && needsTokens)
    ).map(({ name }) => name),
    kind: "plain",
    // Stands for many attackers, each within the limits for one address.
    flags: ["--max-connections-per-ip=unlimited", "--handshake-rate=unlimited", "--ban-after=off"],
    seconds: seconds * 4,
    attackRate,
    isUpstream,
  };
}

/** Whether an attack or check can be run in front of another server, where there is only one endpoint. */
function isForUpstream(name: string): boolean {
  const attack = ATTACKS.find((one) => one.name === name);
  return name === "mix" || attack !== undefined && attack.needsTokens !== true;
}

async function main(options: Options): Promise<number> {
  if (options.list) {
    console.log(formatColumns(["attack", "what"], ATTACKS.map(({ name, what }) => [name, what])));
    console.log(`\nOther checks: ${CHECKS.join(", ")}`);
    return 0;
  }
  const checks: Readonly<Record<string, () => Promise<void>>> = {
    memory: checkMemory,
    idle: checkIdle,
    handshakes: checkHandshakes,
  };
  const rows: string[][] = [];
  let failed = 0;
  for (const name of NAMES.filter((name) => options.only.includes(name))) {
    if (options.isUpstream && !isForUpstream(name)) continue;
    console.log(`${name}:`);
    const faults: string[] = [];
    try {
      const check = checks[name];
      if (check !== undefined) await check();
      else {
        const result = await runTrial(trialOf(name, options));
        faults.push(...result.faults);
        const times = [result.quietP99, result.p99, result.longest].map((ms) => ms.toFixed(1));
        const verdict = faults.length === 0 ? "PASS" : "FAIL";
        rows.push([name, String(result.attacks), ...times, result.growthMib.toFixed(0), verdict]);
        console.log(`  p99 ${times[0]} ms alone, ${times[1]} ms under attack`);
      }
    } catch (error) {
      faults.push(messageOf(error));
    }
    for (const fault of faults) console.log(`  ${fault}`);
    console.log(`${faults.length === 0 ? "PASS" : "FAIL"} ${name}`);
    if (faults.length > 0) failed++;
  }
  if (rows.length > 0) {
    console.log(`\n${formatColumns(["attack", "begun", "quiet p99", "p99", "longest ms", "MiB", ""], rows)}`);
  }
  return failed === 0 ? 0 : 1;
}

function readOptions(args: readonly string[]): Options & { readonly help: boolean } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", default: NAMES.join() },
      list: { type: "boolean", default: false },
      seconds: { type: "string", default: "8" },
      "attack-rate": { type: "string", default: "40" },
      upstream: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  return {
    only: values.only.split(",").map((name) => readWord("--only", name, NAMES)),
    list: values.list,
    seconds: readWhole("--seconds", values.seconds, { most: 1e6 }),
    attackRate: readWhole("--attack-rate", values["attack-rate"], { most: 1e6 }),
    isUpstream: values.upstream,
    help: values.help,
  };
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

if (import.meta.main) await runScript({ help: HELP, readOptions, main });
