// Nodes as real processes that share one Redis, and their clients.

import { createSecretKey } from "node:crypto";
import { type ForeignKey, makeToken } from "../auth/foreign.ts";
import { Program } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";

const SECRET = createSecretKey(Uint8Array.fromHex("5b".repeat(32)));
const KEY: ForeignKey = { alg: "HS256", publicKey: SECRET, privateKey: SECRET };
const KEY_TEXT = new Uint8Array(32).fill(0x5b).toBase64();

/** A token with more claims than that it is alice's and good for ten minutes. */
export function token(claims: Record<string, unknown> = {}): string {
  return makeToken(KEY, { user_id: "alice", exp: Math.floor(Date.now() / 1000) + 600, ...claims }, {});
}

/** A token for who administers. */
export function adminToken(): string {
  // Good for a node whose clock is an hour ahead, too.
  const exp = Math.floor(Date.now() / 1000) + 7200;
  return token({ user_id: "admin", scope: "wsward:admin", exp });
}

/** One process. Dispose of it to end it. */
export class Node implements AsyncDisposable {
  readonly program: Program;
  readonly #hasAdmin: boolean;

  /** Starts one; `flags` come after those of every node. */
  constructor(
    redisUrl: string | undefined,
    flags: readonly string[] = [],
    main?: string,
    permissions: readonly string[] = [],
  ) {
    const folder = Deno.makeTempDirSync({ prefix: "wsward-node-" });
    Deno.writeTextFileSync(`${folder}/wsward.key`, KEY_TEXT, { mode: 0o600 });
    this.#hasAdmin = !flags.includes("--no-admin");
    this.program = new Program(
      [
        "serve",
        ...flags.includes("--secure-port") ? ["--no-echo"] : ["--echo-port", "0", "--secure-port", "0"],
        ...["--handshake-rate", "unlimited"],
        // On a busy machine nothing is to be taken for a loss that is none.
        ...redisUrl === undefined || flags.includes("--redis-timeout") ? [] : ["--redis-timeout", "2s"],
        ...["--max-connections-per-ip", "unlimited", "--log-level", "info"],
        ...this.#hasAdmin ? ["--admin-listen", "127.0.0.1:0"] : [],
        ...flags.filter((flag) => flag !== "--no-admin"),
      ],
      { folder, env: redisUrl === undefined ? {} : { WSWARD_REDIS: redisUrl }, main, permissions },
    );
  }

  async adminUrl(): Promise<string> {
    const [, url] = await this.program.printed(/Admin on (http:\S+)\//);
    return url!;
  }

  /** Waits until Redis can be used. */
  async joined(): Promise<this> {
    await this.program.logged(/Redis can be used/);
    return this;
  }

  /** Opens a connection and presents a token; the first text that comes back. The connection stays open. */
  async login(text: string): Promise<{ readonly client: RawClient; readonly answer: string }> {
    const client = await RawClient.connect({ port: await this.program.port("secure") });
    await client.sendText(text);
    return { client, answer: await client.nextText() };
  }

  /** A request to the admin listener. */
  async admin(method: string, path: string, body?: unknown): Promise<{ status: number; json: unknown }> {
    const response = await fetch(`${await this.adminUrl()}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${adminToken()}`,
        accept: "application/json",
        ...body === undefined ? {} : { "content-type": "application/json" },
      },
      ...body === undefined ? {} : { body: JSON.stringify(body) },
    });
    const text = await response.text();
    return { status: response.status, json: text === "" ? undefined : JSON.parse(text) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
    await Deno.remove(this.program.folder, { recursive: true });
  }
}

/** Asks again and again until the answer is as it should be. */
export async function until<T>(
  what: string,
  ask: () => Promise<T>,
  isDone: (answer: T) => boolean,
): Promise<T> {
  for (const endMs = performance.now() + 30_000;;) {
    const answer = await ask();
    if (isDone(answer)) return answer;
    if (performance.now() > endMs) throw new Error(`Timed out: ${what}: ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
