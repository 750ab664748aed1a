// A process that attacks a server in some of the ways of `attacks.ts`, and prints how often it did each.
//
//   deno run --allow-net=127.0.0.1 scripts/soak/attackers.ts ORDER, as JSON

import { type Attack, ATTACKS, type Targets } from "./attacks.ts";

/** The order for a process of attackers. */
export interface AttackOrder {
  readonly names: readonly string[];
  readonly targets: Targets;
  readonly seconds: number;
  /** How many attacks to begin a second, in turns; without it, all attackers of each kind are at work. */
  readonly perSecond?: number;
}

/** How often each attack was begun, and how often it failed because the server refused it or threw it out. */
export type AttackCounts = Record<string, { begun: number; refused: number }>;

/** The most attacks at once with a rate: more are skipped, so that a slow server is not attacked harder. */
const MOST_AT_ONCE = 60;

async function attack({ names, targets, seconds, perSecond }: AttackOrder): Promise<AttackCounts> {
  const attacks = ATTACKS.filter(({ name }) => names.includes(name));
  const counts: AttackCounts = Object.fromEntries(
    attacks.map(({ name }) => [name, { begun: 0, refused: 0 }]),
  );
  const startedMs = performance.now();
  const isOver = () => performance.now() - startedMs >= seconds * 1000;

  async function begin({ name, run }: Attack, index: number): Promise<void> {
    const count = counts[name]!;
    count.begun++;
    try {
      await run(targets, index);
    } catch (error) {
      // An attacker must expect to be refused or thrown out; only a fault of this code is thrown on.
      if (error instanceof TypeError || error instanceof ReferenceError) throw error;
      count.refused++;
      await sleep(1);
    }
  }

  if (perSecond === undefined) {
    const attackers = attacks.flatMap((attack) =>
      Array.from({ length: attack.atOnce }, async (_, index) => {
        while (!isOver()) await begin(attack, index);
      })
    );
    // Some of them stay until they are thrown out.
    await Promise.race([Promise.all(attackers), sleep(seconds * 1000 + 500)]);
    return counts;
  }
  const running = new Set<Promise<void>>();
  for (let next = 0; !isOver();) {
    const due = (performance.now() - startedMs) / 1000 * perSecond;
    for (; next < due; next++) {
      if (running.size >= MOST_AT_ONCE) continue;
      const one: Promise<void> = begin(attacks[next % attacks.length]!, next).finally(() =>
        running.delete(one)
      );
      running.add(one);
    }
    await sleep(5);
  }
  await Promise.race([Promise.all(running), sleep(5000)]);
  return counts;
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

if (import.meta.main) {
  console.log(JSON.stringify(await attack(JSON.parse(Deno.args[0]!))));
  Deno.exit(0);
}
