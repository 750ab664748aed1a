// The server for an attack: the defaults, and a key that the tokens of good and of hostile users are signed with.

import { makeKey, makeToken, toJwk } from "../../tests/auth/foreign.ts";
import { type Program, startServer } from "../../tests/support/process.ts";
import type { ServerKind, Targets } from "./attacks.ts";

const FIXTURES = decodeURIComponent(new URL("../../tests/fixtures/tls/", import.meta.url).pathname);
const ISSUER = decodeURIComponent(new URL("./issuer.ts", import.meta.url).pathname);
const ECHO_SERVER = decodeURIComponent(new URL("./echo_server.ts", import.meta.url).pathname);

/** Makes the claims about as large as a token may have them. */
const LARGE_CLAIM = "c".repeat(5700);
/** Several users, because one may have only ten sessions. */
const HOSTILE_USERS = 6;
/** Enough for the good clients, and not for the attackers. */
const FEW_DESCRIPTORS = 200;

/** What peers may make the server hold, in MiB: half the default. */
export const MEMORY_LIMIT_MIB = 256;

/** Good clients come from ::1 and attackers from 127.0.0.1, so that limits for each address tell them apart. */
const FLAGS = [
  "--host=::",
  "--allow-host=localhost",
  "--admin-listen=127.0.0.1:0",
  `--max-buffered-memory=${MEMORY_LIMIT_MIB}MiB`,
];

/** How a server for an attack differs from the defaults. */
export interface TargetOptions {
  readonly kind: ServerKind;
  readonly flags?: readonly string[];
  /** Whether it stands in front of another server, open to everybody without a token, in place of both endpoints. */
  readonly isUpstream?: boolean;
}

/** A running server and its helpers; disposing of it ends them all. */
export class Target implements AsyncDisposable {
  readonly kind: ServerKind;
  readonly program: Program;
  readonly targets: Targets;
  /** The token of a good user, undefined where none is asked for. */
  readonly token: string | undefined;
  readonly #folder: string;
  /** The issuer, and the other server behind wsward. */
  readonly #others: readonly Deno.ChildProcess[];

  private constructor(parts: {
    kind: ServerKind;
    program: Program;
    targets: Targets;
    token: string | undefined;
    folder: string;
    others: readonly Deno.ChildProcess[];
  }) {
    this.kind = parts.kind;
    this.program = parts.program;
    this.targets = parts.targets;
    this.token = parts.token;
    this.#folder = parts.folder;
    this.#others = parts.others;
  }

  /** Starts a server; resolves when it listens. */
  static async start({ kind, flags = [], isUpstream = false }: TargetOptions): Promise<Target> {
    const folder = await Deno.makeTempDir({ prefix: "soak-" });
    const issuerKind = kind.endsWith("-issuer") ? kind.slice(0, -"-issuer".length) : undefined;
    const key = makeKey(issuerKind === undefined ? "HS256" : "EdDSA");
    const all = [...FLAGS, ...flags];
    const others: Deno.ChildProcess[] = [];
    const begin = async (args: readonly string[]) => {
      const other = new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-prompt", "--allow-net=127.0.0.1", ...args],
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      others.push(other);
      return await firstLine(other.stdout);
    };
    if (issuerKind === undefined) {
      await Deno.writeTextFile(
        `${folder}/wsward.key`,
        JSON.stringify(toJwk(key.privateKey, { alg: key.alg })),
        {
          mode: 0o600,
        },
      );
    } else {
      const keySet = JSON.stringify({ keys: [toJwk(key.publicKey, { alg: key.alg, kid: "good" })] });
      all.push(`--jwks-url=${await begin([ISSUER, issuerKind, keySet])}`);
    }
    if (isUpstream) all.push(`--upstream=${await begin([ECHO_SERVER])}`, "--upstream-auth=none", "--no-echo");
    const isSecure = kind === "tls";
    if (isSecure) all.push(`--tls-cert=${FIXTURES}server.pem`, `--tls-key=${FIXTURES}server.key.pem`);
    const program = startServer(all, {
      folder,
      permissions: [`--allow-read=${FIXTURES}`],
      hasUnreadLog: kind === "unread-log",
      ...(kind === "few-descriptors" ? { maxDescriptors: FEW_DESCRIPTORS } : {}),
    });
    const header = issuerKind === undefined ? {} : { kid: "good" };
    const tokenFor = (user: string, claims: Record<string, unknown> = {}) =>
      makeToken(key, { user_id: user, exp: 4e9, ...claims }, header);
    const names = isUpstream ? ["upstream", "upstream"] as const : ["echo", "secure"] as const;
    const [echo, secure] = [await program.port(names[0]), await program.port(names[1])];
    const [, admin = ""] = /Admin on http:\/\/127\.0\.0\.1:(\d+)/.exec(program.stdout.text) ?? [];
    if (!isUpstream) await program.atRest("secure");
    const targets = {
      echo,
      secure,
      admin: Number(admin),
      certificate: isSecure ? await Deno.readTextFile(`${FIXTURES}server.pem`) : undefined,
      tokens: Array.from({ length: HOSTILE_USERS }, (_, i) => tokenFor(`mallory${i}`, { pad: LARGE_CLAIM })),
    };
    const token = isUpstream ? undefined : tokenFor("alice");
    return new Target({ kind, program, targets, token, folder, others });
  }

  /** Ends the server as a service manager does; throws if it does not end well or has logged an error of its own. */
  async stop(): Promise<void> {
    await stopProgram(this.program);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
    for (const other of this.#others) {
      other.kill("SIGKILL");
      await other.status;
    }
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** Ends a server as a service manager does; throws if it does not end well or has logged an error of its own. */
export async function stopProgram(program: Program): Promise<void> {
  program.signal("SIGTERM");
  const { code } = await program.result();
  if (code !== 0) throw new Error(`The program ended with ${code}`);
  const errors = program.read("websocket_errors.log");
  const own = /.*(process\.unhandled|endpoint\.\w+|handler\.error).*/.exec(errors);
  if (own !== null) throw new Error(`The program has logged an error of its own: ${own[0]}`);
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const part of stream.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (text.includes("\n")) return text.slice(0, text.indexOf("\n"));
  }
  throw new Error("The issuer did not say where it is");
}
