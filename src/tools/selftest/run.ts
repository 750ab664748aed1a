// Runs cases one after the other, and slow ones at the same time; checks that the server still lives.

import { UsageError } from "../../core/errors.ts";
import { findNearest } from "../../core/nearest.ts";
import { OPCODE } from "../../protocol/frame.ts";
import { frame, text } from "../raw_frame.ts";
import type { Case } from "./case.ts";
import { fail, Unperformable, type Verdict, warn } from "./verdict.ts";
import { CASES } from "./cases.ts";
import type { SelftestOptions } from "./options.ts";
import { Budget, decode, describeArrival, type Manner, Probe, sleep, type Wire } from "./probe.ts";
import { TraceLog } from "./trace.ts";

/** The result of one case. */
export interface CaseReport extends Verdict {
  readonly case: Case;
  readonly durationMs: number;
  /** The bytes on the wire of the last try, a line each. */
  readonly trace: readonly string[];
}

/** The results of a run. */
export interface Report {
  readonly url: string;
  readonly manner: Manner;
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly reports: readonly CaseReport[];
  /** Why not all cases were run. */
  readonly stopped: "interrupted" | "dead" | "late" | undefined;
  /** What was seen last on the connection that is open during the whole run, if it was lost. */
  readonly controlLost: string | undefined;
}

/** Called as a run goes on. */
export interface Listener {
  started?(manner: Manner, count: number): void;
  running?(one: Case, index: number, count: number): void;
  done?(report: CaseReport): void;
}

/** The target can't be tested; the message says why. */
export class CannotTest extends Error {
  override readonly name = "CannotTest";
}

/** How long a server that does not answer is given to come back. */
const REVIVAL_MS = 5000;
const MAX_SLOW_AT_ONCE = 16;

/** The chosen cases. Throws {@linkcode UsageError} for a name that chooses none, or none of these classes. */
export function selectCases(
  { classes, only, skip }: Pick<SelftestOptions, "classes" | "only" | "skip">,
): readonly Case[] {
  for (const [flag, names] of [["--only", only], ["--skip", skip]] as const) {
    for (const name of names) {
      const chosen = CASES.filter((one) => isNamed(one, name));
      if (chosen.length === 0) {
        const nearest = findNearest([...CASES.map(({ id }) => id), ...GROUPS], name);
        throw new UsageError(
          `Cannot use ${flag} ${JSON.stringify(name)}: there is no such case, the nearest one is ${nearest}`,
        );
      }
      if (flag === "--only" && !chosen.some((one) => classes.has(one.class))) {
        throw new UsageError(
          `Cannot use ${flag} ${JSON.stringify(name)}: it needs --class ${chosen[0]!.class}`,
        );
      }
    }
  }
  return CASES.filter((one) =>
    classes.has(one.class) && (only.length === 0 || only.some((name) => isNamed(one, name))) &&
    !skip.some((name) => isNamed(one, name))
  );
}

/** The groups as they are named on a command line. */
export const GROUPS: readonly string[] = [...new Set(CASES.map(({ group }) => nameOf(group)))];

/** A group as it is named on a command line. */
export function nameOf(group: string): string {
  return group.replaceAll(" ", "-");
}

function isNamed({ id, group }: Case, name: string): boolean {
  return id === name || nameOf(group) === name || (name.endsWith("*") && id.startsWith(name.slice(0, -1)));
}

/** Runs the chosen cases until all are done or `signal` is aborted. Throws {@linkcode CannotTest}. */
export async function runSelftest(
  options: SelftestOptions,
  listener: Listener = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<Report> {
  const startedAt = new Date();
  const startMs = performance.now();
  const cases = selectCases(options);
  const run = new Run(options, listener, signal);
  await run.begin(cases.length);
  try {
    const slow = cases.filter(({ isSlow }) => isSlow);
    const harmless = cases.filter((one) => !one.isSlow && one.class === "harmless");
    await Promise.all([run.all(slow, MAX_SLOW_AT_ONCE), run.all(harmless, 1)]);
    await run.all(cases.filter((one) => !one.isSlow && one.class !== "harmless"), 1);
  } finally {
    run.end();
  }
  const order = new Map(cases.map((one, index) => [one, index]));
  return {
    url: options.target.url,
    manner: run.manner,
    startedAt,
    durationMs: performance.now() - startMs,
    reports: run.reports.toSorted((a, b) => order.get(a.case)! - order.get(b.case)!),
    stopped: run.stopped,
    controlLost: run.controlLost,
  };
}

class Run {
  manner: Manner = { kind: "none", prefix: "", answer: "" };
  readonly reports: CaseReport[] = [];
  stopped: Report["stopped"];
  controlLost: string | undefined;
  readonly #options: SelftestOptions;
  readonly #listener: Listener;
  readonly #signal: AbortSignal;
  readonly #budget: Budget;
  /** For the checks that the server is alive, which must not depend on what cases have spent. */
  readonly #vital: Budget;
  readonly #deadlineMs: number;
  #control: Probe | undefined;
  #count = 0;
  #started = 0;

  constructor(options: SelftestOptions, listener: Listener, signal: AbortSignal) {
    this.#options = options;
    this.#listener = listener;
    this.#signal = signal;
    this.#budget = new Budget(options);
    this.#vital = new Budget({ ...options, maxBytes: Infinity });
    this.#deadlineMs = performance.now() + options.maxTimeMs;
  }

  /** Finds out how the server answers, and opens the connection that is to last. Throws {@linkcode CannotTest}. */
  async begin(count: number): Promise<void> {
    this.#count = count;
    const probe = new Probe(this.#options, this.#budget, this.manner);
    try {
      const wire = await probe.open();
      this.manner = await this.#learn(wire);
      this.#control = probe;
      void this.#keep(wire);
    } catch (error) {
      probe[Symbol.dispose]();
      if (error instanceof Unperformable) throw new CannotTest(error.message);
      throw error;
    }
    this.#listener.started?.(this.manner, count);
  }

  end(): void {
    const probe = this.#control;
    this.#control = undefined;
    probe?.[Symbol.dispose]();
  }

  async all(cases: readonly Case[], atOnce: number): Promise<void> {
    const left = [...cases];
    const work = async () => {
      for (let one = left.shift(); one !== undefined && !this.#mustStop(); one = left.shift()) {
        await this.#one(one);
      }
    };
    await Promise.all(Array.from({ length: Math.min(atOnce, cases.length) }, work));
  }

  async #learn(wire: Wire): Promise<Manner> {
    const { send, expect } = this.#options;
    await wire.send(text(send));
    const arrival = await wire.next();
    if (arrival.kind === "late" && expect === undefined) return { kind: "none", prefix: "", answer: "" };
    if (arrival.kind !== "frame" || arrival.closeCode !== undefined) {
      throw new Unperformable(`a message is answered with ${describeArrival(arrival)}`);
    }
    const answer = decode(arrival.payload);
    if (expect !== undefined && answer !== expect) {
      throw new Unperformable(
        `${JSON.stringify(send)} is answered with ${
          JSON.stringify(answer.slice(0, 100))
        }, not with what --expect says`,
      );
    }
    // An answer may be a refusal with a Close behind it, as where a token is missing.
    await wire.send(frame({ opcode: OPCODE.ping }));
    const next = await wire.next();
    if (next.kind !== "frame" || next.closeCode !== undefined) {
      throw new Unperformable(
        `a message is answered with ${JSON.stringify(answer.slice(0, 100))} and then with ${
          describeArrival(next)
        }`,
      );
    }
    return answer.endsWith(send)
      ? { kind: "echo", prefix: answer.slice(0, answer.length - send.length), answer }
      : { kind: "fixed", prefix: "", answer };
  }

  /** Answers Pings on the connection that is to last, and notes its end. */
  async #keep(wire: Wire): Promise<void> {
    for (;;) {
      const arrival = await wire.next(Infinity);
      if (arrival.kind === "frame" && arrival.opcode === OPCODE.ping) {
        await wire.client.send(
          frame({ opcode: OPCODE.pong, payload: arrival.payload }),
          this.#options.timeoutMs,
        );
      } else if (arrival.kind !== "frame" || arrival.closeCode !== undefined) {
        if (this.#control !== undefined) this.controlLost = describeArrival(arrival);
        return;
      }
    }
  }

  #mustStop(): boolean {
    if (this.#signal.aborted) this.stopped ??= "interrupted";
    if (performance.now() > this.#deadlineMs) this.stopped ??= "late";
    return this.stopped !== undefined;
  }

  async #one(one: Case): Promise<void> {
    this.#listener.running?.(one, ++this.#started, this.#count);
    const startMs = performance.now();
    let trace = new TraceLog(this.#options.token);
    let verdict = await this.#try(one, trace);
    if (this.#signal.aborted) return;
    if (verdict.result === "fail") {
      trace = new TraceLog(this.#options.token);
      const second = await this.#try(one, trace);
      if (second.result !== "fail") {
        verdict = warn(
          `unstable: ${verdict.observed}; and at the second try ${second.result}: ${second.observed}`,
        );
      }
    }
    const mustLive = one.class !== "harmless" || !["pass", "info", "skip"].includes(verdict.result);
    if (mustLive && !await this.#lives()) {
      verdict = fail(`${verdict.observed}; and after it the server takes no connection any more`);
      this.stopped = "dead";
    }
    if (this.#options.strict && verdict.result === "warn") verdict = fail(verdict.observed);
    const left = trace.left > 0 ? [`... ${trace.left} more`] : [];
    const report = {
      ...verdict,
      case: one,
      durationMs: performance.now() - startMs,
      trace: [...trace.lines, ...left],
    };
    this.reports.push(report);
    this.#listener.done?.(report);
  }

  async #try(one: Case, trace: TraceLog): Promise<Verdict> {
    using probe = new Probe(this.#options, this.#budget, this.manner, trace);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const onAbort = Promise.withResolvers<Verdict>();
    const abort = () => onAbort.resolve({ result: "error", observed: "interrupted" });
    this.#signal.addEventListener("abort", abort);
    const late = new Promise<Verdict>((resolve) => {
      const { caseTimeoutMs } = this.#options;
      timer = setTimeout(
        () => resolve({ result: "error", observed: `not done within ${caseTimeoutMs / 1000} s` }),
        caseTimeoutMs,
      );
    });
    // Caught here, because the case may also fail after it was given up.
    const work = one.run(probe).catch((error): Verdict => {
      if (error instanceof Unperformable) return { result: error.result, observed: error.message };
      return {
        result: "error",
        observed: `fault of this tool: ${error instanceof Error ? error.stack ?? error.message : error}`,
      };
    });
    try {
      return await Promise.race([work, late, onAbort.promise]);
    } finally {
      clearTimeout(timer);
      this.#signal.removeEventListener("abort", abort);
    }
  }

  async #lives(): Promise<boolean> {
    const deadlineMs = performance.now() + REVIVAL_MS;
    for (;;) {
      using probe = new Probe(this.#options, this.#vital, this.manner);
      try {
        if (await probe.findFaultOfEcho(await probe.open()) === undefined) return true;
      } catch (error) {
        if (!(error instanceof Unperformable)) throw error;
      }
      if (performance.now() > deadlineMs) return false;
      await sleep(250);
    }
  }
}
