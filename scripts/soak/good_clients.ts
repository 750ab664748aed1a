// Clients that keep the rules: they send at a steady pace, check every answer and measure how long it took.

import { OPCODE } from "../../tests/support/raw_client.ts";
import { LoadClient } from "../load.ts";

/** Pause between an answer and the next message, in milliseconds. */
const PAUSE_MS = 10;

/** Times are counted by steps of this many milliseconds. */
const STEP_MS = 0.02;
const STEPS = 100_000;

/** Round trips by how long they took. */
export class Histogram {
  count = 0;
  readonly #steps = new Uint32Array(STEPS);

  add(milliseconds: number): void {
    this.count++;
    this.#steps[Math.min(STEPS - 1, Math.floor(milliseconds / STEP_MS))]!++;
  }

  /** The time in milliseconds that a share of the round trips took at most. */
  quantile(share: number): number {
    let left = this.count * share;
    return (this.#steps.findIndex((count) => (left -= count) <= 0) + 1) * STEP_MS;
  }
}

/** Some clients; each has one message under way at any time. */
export class GoodClients {
  /** Where round trips are counted now. */
  histogram = new Histogram();
  readonly #clients: readonly LoadClient[];
  readonly #running: Promise<void>;
  #isOver = false;

  private constructor(clients: readonly LoadClient[]) {
    this.#clients = clients;
    this.#running = Promise.all(clients.map((client, index) => this.#run(client, index))).then(() => {});
    // Awaited by `stop`; until then a failure must not end the process.
    this.#running.catch(() => {});
  }

  static async start(port: number, count: number): Promise<GoodClients> {
    const clients: LoadClient[] = [];
    for (let i = 0; i < count; i++) clients.push(await LoadClient.connect(port));
    return new GoodClients(clients);
  }

  /** Resolves when all answers are there; rejects if any client lost a message or its connection. */
  async stop(): Promise<void> {
    this.#isOver = true;
    try {
      await this.#running;
    } finally {
      for (const client of this.#clients) client.close();
    }
  }

  async #run(client: LoadClient, index: number): Promise<void> {
    const decoder = new TextDecoder();
    for (let count = 0; !this.#isOver; count++) {
      const text = `client ${index} message ${count} ${"\u20ac".repeat(count % 50)}`;
      const startedMs = performance.now();
      await client.sendText(text);
      const answer = await client.next();
      this.histogram.add(performance.now() - startedMs);
      const got = answer === undefined ? "the end" : decoder.decode(answer.payload);
      if (answer?.opcode !== OPCODE.text || got !== `Server received: ${text}`) {
        throw new Error(
          `A good client got ${JSON.stringify(got.slice(0, 100))} as the answer to message ${count}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
