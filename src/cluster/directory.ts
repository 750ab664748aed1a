// What administrators see and do across all nodes.

import { type RedisClient, RedisRefusal } from "../redis/client.ts";
import { FIND, LEASE_MS, NODES, ORDER, PAGE } from "./scripts.ts";
import { pairs } from "./shared_list.ts";
import { nameOf, parse, readRow, type RemoteSession, type TimeShift } from "./wire.ts";

/** What it is made of. */
export interface DirectoryOptions {
  readonly client: Pick<RedisClient, "run">;
  readonly shift: TimeShift;
  /** This node. */
  readonly node: string;
}

/** One node, as it describes itself. */
export interface NodeInfo {
  readonly name: string;
  /** An id that no other node has. */
  readonly id: string;
  readonly isThis: boolean;
  readonly version: string;
  readonly addresses: readonly string[];
  /** Milliseconds since the Unix epoch. */
  readonly sinceMs: number;
  readonly connections: number;
  readonly sessions: number;
  /** How late its last sign of life was, in milliseconds. */
  readonly lagMs: number;
  /** How long ago its last sign of life was, in milliseconds. */
  readonly silentMs: number;
}

/** A page of the sessions of all nodes, oldest first. */
export interface SessionPage {
  readonly sessions: readonly RemoteSession[];
  /** Where the next page begins; undefined for the last. */
  readonly next: string | undefined;
}

/** How long to wait until another node has closed a session, and between two checks, in milliseconds. */
const CLOSE_MS = 2000;
const LOOK_MS = 25;

/** The most calls for one page, which is a short one then: parts of it may be of nodes that are not there any more. */
const MAX_CALLS = 1000;

/** Asks Redis about all nodes. Methods reject as `RedisClient.run` does. */
export class Directory {
  readonly #options: DirectoryOptions;

  constructor(options: DirectoryOptions) {
    this.#options = options;
  }

  /** The live nodes, by name. */
  async nodes(): Promise<readonly NodeInfo[]> {
    const { client, shift, node: own } = this.#options;
    const [, ...parts] = await client.run(NODES, []);
    const nodes: NodeInfo[] = [];
    for (let i = 0; i + 3 < parts.length; i += 4) {
      const [node, leftMs, text, sessions] = parts.slice(i, i + 4).map(String) as [
        string,
        string,
        string,
        string,
      ];
      const { version, addresses, since, connections, lag } = Object(parse(text));
      const said = Array.isArray(addresses) ? addresses : [];
      nodes.push({
        name: nameOf(node),
        id: node.slice(node.lastIndexOf(":") + 1),
        isThis: node === own,
        version: typeof version === "string" ? version : "unknown",
        addresses: said.filter((address) => typeof address === "string"),
        sinceMs: shift.toOwn(numberOf(since)),
        connections: numberOf(connections),
        sessions: Number(sessions),
        lagMs: numberOf(lag),
        silentMs: Math.max(0, LEASE_MS - Number(leftMs)),
      });
    }
    return nodes.sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : a.id < b.id ? -1 : 1);
  }

  /** The sessions after a place, which is empty for the first page. */
  async page(after: string, limit: number): Promise<SessionPage> {
    const { client, shift } = this.#options;
    const sessions: RemoteSession[] = [];
    let from = after;
    for (let calls = 0; calls < MAX_CALLS; calls++) {
      const [, next, ...parts] = await client.run(PAGE, [from, Math.min(200, limit - sessions.length)]);
      for (const [place, row] of pairs(parts)) {
        const at = place.indexOf("@");
        const session = readRow(place.slice(17, at), place.slice(at + 1), row, shift);
        if (session !== undefined) sessions.push(session);
      }
      if (next === "") return { sessions, next: undefined };
      if (!(String(next) > from)) {
        throw new RedisRefusal("Cannot read the sessions: their order is impossible");
      }
      from = String(next);
      if (sessions.length >= limit) break;
    }
    return { sessions, next: from };
  }

  /** A session on any node. */
  async find(id: string): Promise<RemoteSession | undefined> {
    const [, node, row] = await this.#options.client.run(FIND, [id]);
    if (typeof node !== "string" || typeof row !== "string") return undefined;
    return readRow(id, node, row, this.#options.shift);
  }

  /** Has another node close a session. Undefined if there is none, otherwise whether it is closed. */
  async close(id: string, code: number, reason: string): Promise<boolean | undefined> {
    const { client } = this.#options;
    const [, node] = await client.run(FIND, [id]);
    if (typeof node !== "string") return undefined;
    await client.run(ORDER, [node, id, JSON.stringify({ code, reason })]);
    return await this.isGone(id);
  }

  /** Whether a session ends that another node was told to end, or is not there. */
  async isGone(id: string): Promise<boolean> {
    for (const endMs = performance.now() + CLOSE_MS; performance.now() < endMs;) {
      const [, still] = await this.#options.client.run(FIND, [id]);
      if (still === undefined) return true;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return false;
  }
}

/** A number from a node; 0 if it is not one. */
function numberOf(value: unknown): number {
  return typeof value === "number" && Math.abs(value) <= Number.MAX_SAFE_INTEGER ? value : 0;
}
