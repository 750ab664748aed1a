// Measures handshakes with a token, from the connection to `Authenticated!`, and what each costs the server.
import { generateKey } from "../../src/auth/new_key.ts";
import { loadKeys } from "../../src/auth/key_file.ts";
import { mintToken } from "../../src/auth/token.ts";
import { OPCODE, RawClient } from "../../tests/support/raw_client.ts";
import { cpuSeconds } from "./cpu.ts";
import { startSecureServer } from "./servers.ts";

/** The algorithms that are measured. */
export const HANDSHAKE_ALGORITHMS = ["HS256", "EdDSA"] as const;

/** The results for one algorithm. */
export interface HandshakeResult {
  readonly alg: typeof HANDSHAKE_ALGORITHMS[number];
  readonly perSecond: number;
  /** The server's CPU time for one handshake, with its connection and session; undefined where there is no `/proc`. */
  readonly cpuMicroseconds: number | undefined;
}

/** How many clients connect at once. */
const CLIENTS = 8;

/** Drives the secure endpoint for `seconds` with tokens of one algorithm. `folder` must be empty. */
export async function measureHandshakes(
  alg: HandshakeResult["alg"],
  { folder, seconds, signal, wswardFlags = [] }: {
    readonly folder: string;
    readonly seconds: number;
    readonly signal: AbortSignal;
    readonly wswardFlags?: readonly string[];
  },
): Promise<HandshakeResult> {
  const keyFile = `${folder}/wsward.key`;
  await Deno.writeTextFile(keyFile, (await generateKey(alg)).privateText, { mode: 0o600 });
  const { signer } = await loadKeys(keyFile);
  const token = await mintToken(signer!, { user: "bench", expiresInMs: 600_000, claims: {} });
  const unlimited = [
    "--max-sessions-per-user",
    "unlimited",
    "--log-level",
    "error",
    ...wswardFlags,
  ];
  const server = await startSecureServer({ folder, wswardFlags: unlimited, signal });
  try {
    let count = 0;
    let isOver = false;
    const start = performance.now();
    const before = cpuSeconds(server.pid);
    setTimeout(() => isOver = true, seconds * 1000);
    await Promise.all(Array.from({ length: CLIENTS }, async () => {
      while (!isOver) {
        using client = await RawClient.connect({ port: server.port });
        await client.sendFrame({ opcode: OPCODE.text, payload: token });
        if (await client.nextText() !== "Authenticated!") throw new Error("the token was refused");
        await client.sendClose(1000);
        await client.nextClose();
        count++;
      }
    }));
    const after = cpuSeconds(server.pid);
    const elapsedSeconds = (performance.now() - start) / 1000;
    return {
      alg,
      perSecond: count / elapsedSeconds,
      cpuMicroseconds: before === undefined || after === undefined
        ? undefined
        : (after - before) / count * 1e6,
    };
  } finally {
    await server.stop();
  }
}

/** The results as lines for people. */
export function formatHandshakes(results: readonly HandshakeResult[]): string {
  const lines = results.map(({ alg, perSecond, cpuMicroseconds }) => {
    const cost = cpuMicroseconds === undefined
      ? ""
      : `, ${Math.round(cpuMicroseconds)} us of server CPU each: ${
        Math.round(1e6 / cpuMicroseconds)
      }/s a core`;
    return `  ${alg.padEnd(6)} ${Math.round(perSecond)}/s${cost}`;
  });
  return ["Handshakes with a token, wsward", ...lines].join("\n");
}
