// A real redis-server for a test: on a private port, in a folder of its own, without persistence.

import { RedisConnection } from "../../src/redis/connection.ts";
import { parseRedisUrl } from "../../src/core/redis_text.ts";
import type { Command } from "../../src/redis/command.ts";
import type { Reply } from "../../src/redis/reply_reader.ts";

function findRedis(): string | undefined {
  for (const name of ["redis-server", "valkey-server"]) {
    for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
      const path = `${folder}/${name}`;
      try {
        if (Deno.statSync(path).isFile) return path;
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory)) {
          throw error;
        }
      }
    }
  }
  return undefined;
}

const REDIS = findRedis();

/** Whether tests with a real Redis are left out, visibly, because none is installed. */
export const NO_REDIS = REDIS === undefined;

/** A port that was free a moment ago, and that the system gives to nobody who asks for any. */
export function privatePort(): number {
  for (;;) {
    // The bus of a cluster is 10,000 above, and has to be private too.
    const port = 12_000 + Math.floor(Math.random() * 10_000);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** A running redis-server. */
export class RedisServer {
  readonly port: number;
  readonly folder: string;
  readonly #args: readonly string[];
  #process: Deno.ChildProcess;

  private constructor(port: number, folder: string, args: readonly string[], process: Deno.ChildProcess) {
    this.port = port;
    this.folder = folder;
    this.#args = args;
    this.#process = process;
  }

  /** Starts one and waits until it answers; `args` are options as on its command line. */
  static async start(args: readonly string[] = [], port = privatePort()): Promise<RedisServer> {
    const folder = await Deno.makeTempDir({ prefix: "wsward-redis-" });
    const all = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", ...args];
    const server = new RedisServer(port, folder, all, spawn(all));
    await server.#ready();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  signal(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** Kills it and waits for its end. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
  }

  /** Starts it again after `kill`, with nothing in it. */
  async restart(): Promise<void> {
    this.#process = spawn(this.#args);
    await this.#ready();
  }

  /** One command over a connection of its own. */
  async call(...command: Command): Promise<Reply> {
    const connection = await connect(this.url);
    try {
      return await connection.send(command);
    } finally {
      connection.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
    await this.#process.status;
    await Deno.remove(this.folder, { recursive: true });
  }

  async #ready(): Promise<void> {
    for (const endMs = performance.now() + 10_000;;) {
      try {
        (await connect(this.url)).close();
        return;
      } catch (error) {
        if (performance.now() > endMs) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}

function spawn(args: readonly string[]): Deno.ChildProcess {
  return new Deno.Command(REDIS!, { args: [...args], stdout: "null", stderr: "null" }).spawn();
}

/** A plain connection for a test. */
export function connect(url: string): Promise<RedisConnection> {
  return RedisConnection.open({
    address: parseRedisUrl(url)!,
    timeoutMs: 5000,
    caCerts: [],
    onPush: () => {},
    onLost: () => {},
    onAnswer: () => {},
  }, new AbortController().signal);
}
