// Clients that keep the rules: they send at a steady pace, check every answer and measure how long it took.

import { concat, frame, OPCODE, requestHead } from "../../tests/support/raw_client.ts";
import { LoadClient, type LoadTarget, writeAll } from "../load.ts";

/** Pause between an answer and the next message, in milliseconds. */
const PAUSE_MS = 10;
/** The same for the clients that are not measured. */
const LONG_PAUSE_MS = 250;
/** How long an answer may take before it counts as lost, in milliseconds. */
const ANSWER_DEADLINE_MS = 4000;

const LARGE_SIZE = 300_000;

/** Times are counted in steps of so many milliseconds. */
const STEP_MS = 0.02;
const STEPS = 500_000;

/** Counts round trips by their time. */
export class Histogram {
  count = 0;
  readonly #steps = new Uint32Array(STEPS);

  add(milliseconds: number): void {
    this.count++;
    this.#steps[Math.min(STEPS - 1, Math.floor(milliseconds / STEP_MS))]!++;
  }

  /** The time in milliseconds that this share of the round trips did not exceed; 0 without any. */
  quantile(share: number): number {
    if (this.count === 0) return 0;
    let left = this.count * share;
    return (this.#steps.findIndex((count) => (left -= count) <= 0) + 1) * STEP_MS;
  }
}

/** Where good clients connect to. */
export interface GoodTargets {
  readonly echo: LoadTarget;
  /** With a token, some of them also open sessions. */
  readonly secure?: LoadTarget & { readonly token: string };
}

/** Clients that each wait for one answer at a time. Only round trips of small messages are measured. */
export class GoodClients {
  /** Counts the round trips; replace it to begin anew. */
  histogram = new Histogram();
  readonly #open = new Set<LoadClient>();
  readonly #running: Promise<void>[] = [];
  #isOver = false;
  #failure: Error | undefined;

  private constructor() {}

  /** Connects `count` clients with small messages, and one of each other kind. */
  static async start({ echo, secure }: GoodTargets, count: number): Promise<GoodClients> {
    const good = new GoodClients();
    for (let i = 0; i < count; i++) {
      const client = await good.#connect(echo);
      good.#begin(`client ${i}`, (turn) => good.#sendSmall(client, i, turn));
    }
    const large = await good.#connect(echo);
    const cut = await good.#connect(echo);
    good.#begin("the client with large messages", () => good.#sendLarge(large));
    good.#begin("the client whose messages come in two segments", (turn) => good.#sendCut(cut, turn));
    if (secure !== undefined) good.#begin("the client with sessions", () => good.#openSession(secure));
    return good;
  }

  /** Stops when all answers have come; rejects if any client lost a message or its connection. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
    for (const client of this.#open) client.close();
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #connect(target: LoadTarget): Promise<LoadClient> {
    const client = await LoadClient.connect(target);
    this.#open.add(client);
    return client;
  }

  /** Starts one client, which takes its turns until all is over or an answer is late. */
  #begin(name: string, turn: (count: number) => Promise<void>): void {
    this.#running.push((async () => {
      try {
        for (let count = 0; !this.#isOver && this.#failure === undefined; count++) {
          await bounded(turn(count));
        }
      } catch (error) {
        this.#failure ??= new Error(`${name}: ${error instanceof Error ? error.message : error}`);
        for (const client of this.#open) client.close();
      }
    })());
  }

  async #sendSmall(client: LoadClient, index: number, count: number): Promise<void> {
    const text = `client ${index} message ${count} ${"\u20ac".repeat(count % 50)}`;
    const startedMs = performance.now();
    await client.sendText(text);
    await expectText(client, `Server received: ${text}`);
    this.histogram.add(performance.now() - startedMs);
    await sleep(PAUSE_MS);
  }

  async #sendLarge(client: LoadClient): Promise<void> {
    const payload = new Uint8Array(LARGE_SIZE);
    await writeAll(client.conn, frame({ opcode: OPCODE.binary, payload }));
    const answer = await client.next();
    if (answer?.payload.length !== LARGE_SIZE) throw new Error("a large message was lost");
    await sleep(LONG_PAUSE_MS);
  }

  async #sendCut(client: LoadClient, count: number): Promise<void> {
    const text = `in two segments ${count}`;
    const bytes = concat(frame({ opcode: OPCODE.text, payload: text }));
    await writeAll(client.conn, bytes.subarray(0, 10));
    await sleep(20);
    await writeAll(client.conn, bytes.subarray(10));
    await expectText(client, `Server received: ${text}`);
    await sleep(LONG_PAUSE_MS);
  }

  async #openSession({ token, ...target }: NonNullable<GoodTargets["secure"]>): Promise<void> {
    const head = new TextEncoder().encode(requestHead({ headers: { Authorization: `Bearer ${token}` } }));
    const client = await this.#connect({ ...target, head });
    try {
      await client.sendText("hello");
      for (let answer = await client.next();; answer = await client.next()) {
        if (answer === undefined) throw new Error("a session ended");
        if (new TextDecoder().decode(answer.payload).endsWith("hello")) break;
      }
    } finally {
      this.#open.delete(client);
      client.close();
    }
    await sleep(LONG_PAUSE_MS);
  }
}

async function expectText(client: LoadClient, expected: string): Promise<void> {
  const answer = await client.next();
  const got = answer === undefined ? "the end" : new TextDecoder().decode(answer.payload);
  if (answer?.opcode !== OPCODE.text || got !== expected) {
    throw new Error(
      `got ${JSON.stringify(got.slice(0, 100))} and not ${JSON.stringify(expected.slice(0, 100))}`,
    );
  }
}

/** Waits for an answer as long as a good client would, then rejects. */
export async function bounded(turn: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`no answer within ${ANSWER_DEADLINE_MS} ms`)),
    ANSWER_DEADLINE_MS,
  );
  try {
    await Promise.race([turn, late.promise]);
  } finally {
    clearTimeout(timer);
    // Its connection is closed later, so that it fails when nobody awaits it any more.
    turn.catch(() => {});
  }
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
