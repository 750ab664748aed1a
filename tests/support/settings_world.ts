// A server that is started with one setting at some value, and ways to see the effect.

import assert from "node:assert/strict";
import { createSecretKey, type KeyObject } from "node:crypto";
import { type ForeignKey, makeToken } from "../auth/foreign.ts";
import type { ForeignOptions, ForeignServer } from "../upstream/harness.ts";
import type { Program, StartOptions } from "./process.ts";
import { RawClient, requestHead } from "./raw_client.ts";

/** The key of each server, as bytes. */
export const SECRET: KeyObject = createSecretKey(Uint8Array.fromHex("5b".repeat(32)));
const KEY: ForeignKey = { alg: "HS256", publicKey: SECRET, privateKey: SECRET };

/** A server that was started with the setting of one row, and one key for its tokens. */
export class World {
  readonly program: Program;
  readonly #foreign: ForeignServer | undefined;

  /** @param foreign is the server that it is in front of, if its row has one. */
  constructor(program: Program, foreign?: ForeignServer) {
    this.program = program;
    this.#foreign = foreign;
  }

  /** The server behind, in a row with `foreign`. */
  get foreign(): ForeignServer {
    return this.#foreign!;
  }

  /** The status of a handshake that is for the server behind, by alice unless there is another token, or none. */
  async crossingStatus(
    options: Parameters<RawClient["handshake"]>[0] = {},
    token = this.token(),
  ): Promise<number> {
    using client = await RawClient.open({ port: await this.program.port("upstream") }, 10_000);
    return (await client.handshake(withToken(options, token))).status;
  }

  /** A connection through to the server behind, which echoes. */
  async cross(options: Parameters<RawClient["handshake"]>[0] = {}, token = this.token()): Promise<RawClient> {
    const client = await RawClient.connect(
      { port: await this.program.port("upstream") },
      withToken(options, token),
    );
    await client.sendText("through");
    assert.equal(await client.nextText(), "through");
    return client;
  }

  /** A token for alice, with more claims and header parameters. */
  token(claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}, key = KEY): string {
    return makeToken(key, { user_id: "alice", exp: nowS() + 60, ...claims }, header);
  }

  /** Opens a connection to the secure endpoint. */
  async open(options?: Parameters<typeof RawClient.connect>[1]): Promise<RawClient> {
    return await RawClient.connect({ port: await this.program.port("secure") }, options);
  }

  /** Opens a connection to the echo endpoint. */
  async echo(options?: Parameters<typeof RawClient.connect>[1]): Promise<RawClient> {
    return await RawClient.connect({ port: await this.program.port("echo") }, options);
  }

  /** The status of a handshake with the echo endpoint, which may follow something else. */
  async echoStatus(headers: Readonly<Record<string, string>> = {}, before = ""): Promise<number> {
    using client = await RawClient.open({ port: await this.program.port("echo") });
    const head = requestHead({ headers });
    const host = headers.Host;
    await client.send(before + (host === undefined ? head : head.replace("Host: localhost\r\n", "")));
    const { status } = await client.readHead();
    client.close();
    return status;
  }

  /** What the first message of a connection is when it presents this token. */
  async answer(token: string): Promise<string> {
    using client = await this.open();
    await client.sendText(token);
    const text = await client.nextText();
    if (text !== "Authenticated!") await client.nextClose();
    client.close();
    return text;
  }

  /** The status of a handshake with this token in the header, or in the query. */
  async status(token: string, where: "header" | "query"): Promise<number> {
    using client = await RawClient.open({ port: await this.program.port("secure") });
    const { status } = await client.handshake(
      where === "header" ? { headers: { Authorization: `Bearer ${token}` } } : { target: `/?token=${token}` },
    );
    client.close();
    return status;
  }
}

function withToken(options: NonNullable<Parameters<RawClient["handshake"]>[0]>, token: string) {
  const authorization = token === "" ? {} : { Authorization: `Bearer ${token}` };
  return { ...options, headers: { ...authorization, ...options.headers } };
}

/** The time in seconds, as tokens have it. */
export function nowS(): number {
  return Math.floor(Date.now() / 1000);
}

/** How the effect of a setting is seen. */
export interface Row {
  /** What the flag is given; nothing for a switch, which is turned to the other side. */
  readonly value?: string;
  /** Other flags that it takes to see it. */
  readonly more?: readonly string[];
  /** Writes what the start needs into its folder. */
  readonly prepare?: (folder: string) => void;
  /** The server behind it, whose URL is put in place of UPSTREAM. */
  readonly foreign?: ForeignOptions;
  /** What else it is started with: without the echo endpoint if left out. */
  readonly base?: readonly string[];
  /** What the process may do besides, and its variables. */
  readonly options?: StartOptions;
  /** Whether `check` ends it. */
  readonly ends?: boolean;
  /** Looks at it, and fails if it is not there. */
  readonly check: (world: World) => Promise<void>;
  /** Starts it once more in the same folder, and looks again. */
  readonly checkAgain?: (world: World) => Promise<void>;
}
