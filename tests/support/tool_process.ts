// A command as a user runs it, with a pipe or on a terminal; and servers that answer it badly.

import { programCommand } from "./process.ts";

/** What the deno tasks of the tools may do. */
export const TOOL_PERMISSIONS = [
  "--no-prompt",
  "--allow-net=127.0.0.1,[::1],localhost",
  "--allow-read=.",
  "--allow-env=WSWARD_*",
];

const TIMEOUT_MS = 60_000;

/** What a command left behind. */
export interface ToolResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command is run. */
export interface ToolOptions {
  readonly stdin?: string | Uint8Array;
  readonly folder?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly permissions?: readonly string[];
  /** Sent when it has written something to stdout. */
  readonly signal?: Deno.Signal;
}

/** Runs the program with `args` to its end. */
export async function runTool(args: readonly string[], options: ToolOptions = {}): Promise<ToolResult> {
  const { stdin = "", folder, env = {}, permissions = TOOL_PERMISSIONS, signal } = options;
  const cwd = folder ?? Deno.makeTempDirSync();
  const command = programCommand(args, permissions, { NO_COLOR: "1", ...env });
  const child = new Deno.Command(command.path, {
    ...command,
    cwd,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
  const writer = child.stdin.getWriter();
  const writing = (async () => {
    try {
      await writer.write(
        typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin as Uint8Array<ArrayBuffer>,
      );
      if (signal === undefined) await writer.close();
    } catch (error) {
      // It ended before it had read everything.
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    }
  })();
  const read = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>, isData: boolean) => {
    let text = "";
    for await (const part of stream.pipeThrough(new TextDecoderStream())) {
      if (isData && signal !== undefined && text === "") child.kill(signal);
      text += part;
    }
    return text;
  };
  try {
    const [{ code, signal: killedBy }, stdout, stderr] = await Promise.all([
      child.status,
      read(child.stdout, true),
      read(child.stderr, false),
      writing,
    ]);
    if (killedBy === "SIGKILL") {
      throw new Error(`Timed out after ${TIMEOUT_MS} ms: ${args.join(" ")}: ${stderr}`);
    }
    return { code, stdout, stderr };
  } finally {
    clearTimeout(timer);
    if (signal !== undefined) await writer.close().catch(() => {});
    if (folder === undefined) await Deno.remove(cwd, { recursive: true });
  }
}

/** What a peer does with one connection. It may end the connection itself; otherwise that is done for it. */
export type Behaviour = (conn: Deno.TcpConn) => Promise<void>;

/** A TCP server on a free port that does the same with each connection. */
export class TcpServer implements AsyncDisposable {
  readonly port: number;
  /** How many came. */
  count = 0;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #work: Promise<void>[] = [];

  readonly #isAbandoned: boolean;

  /** `isAbandoned`: what it does with a connection need not come to an end. */
  constructor(behaviour: Behaviour, { isAbandoned = false }: { readonly isAbandoned?: boolean } = {}) {
    this.#isAbandoned = isAbandoned;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = this.#listener.addr.port;
    void this.#accept(behaviour);
  }

  async #accept(behaviour: Behaviour): Promise<void> {
    for (;;) {
      let conn: Deno.TcpConn;
      try {
        conn = await this.#listener.accept();
      } catch (error) {
        if (error instanceof Deno.errors.BadResource) return;
        // Whoever came has gone already.
        continue;
      }
      this.count++;
      this.#open.add(conn);
      this.#work.push(
        behaviour(conn).catch((error) => {
          // Clients of a bad server leave as they like.
          if (!Object.values(Deno.errors).some((type) => error instanceof type)) throw error;
        }).finally(() => {
          if (this.#open.delete(conn)) close(conn);
        }),
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#open) close(conn);
    if (!this.#isAbandoned) await Promise.all(this.#work);
  }
}

function close(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch (error) {
    // It was closed already.
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/** Reads a request and answers it with 101, with further header lines. */
export async function acceptUpgrade(conn: Deno.TcpConn, ...lines: readonly string[]): Promise<void> {
  const buffer = new Uint8Array(16 * 1024);
  let head = "";
  while (!head.includes("\r\n\r\n")) {
    const count = await conn.read(buffer);
    if (count === null) throw new Deno.errors.UnexpectedEof("no request");
    head += new TextDecoder().decode(buffer.subarray(0, count));
  }
  const key = /sec-websocket-key: (.*)\r\n/i.exec(head)![1];
  const digest = await crypto.subtle.digest(
    "SHA-1",
    new TextEncoder().encode(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`),
  );
  const accept = btoa(String.fromCharCode(...new Uint8Array(digest)));
  const answer = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accept}`,
    ...lines,
    "",
    "",
  ];
  await conn.write(new TextEncoder().encode(answer.join("\r\n")));
}

/** The program on a terminal of its own, made by `script`. Dispose of it to be sure that it has ended. */
export class Terminal implements AsyncDisposable {
  text = "";
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #ended: Promise<void>;
  readonly #folder = Deno.makeTempDirSync();
  #wake: (() => void) | undefined;

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const command = programCommand(args, TOOL_PERMISSIONS, env);
    const line = [command.path, ...command.args].map((word) => `'${word}'`).join(" ");
    const child = this.#child = new Deno.Command("script", {
      args: ["-qec", line, "/dev/null"],
      cwd: this.#folder,
      env: { TERM: "xterm", PATH: Deno.env.get("PATH") ?? "", ...command.env },
      clearEnv: command.clearEnv,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#ended = (async () => {
      for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
        this.text += part;
        this.#wake?.();
      }
    })();
  }

  /** Types. */
  async type(text: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(text));
  }

  /** Waits until what was shown so far matches. */
  async shows(pattern: RegExp): Promise<void> {
    const deadlineMs = performance.now() + TIMEOUT_MS;
    while (!pattern.test(this.text)) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<"late">((resolve) =>
        timer = setTimeout(() => resolve("late"), deadlineMs - performance.now())
      );
      const more = new Promise<"more">((resolve) => this.#wake = () => resolve("more"));
      const next = await Promise.race([more, late, this.#ended.then(() => "ended" as const)]);
      clearTimeout(timer);
      if (next !== "more" && !pattern.test(this.text)) {
        throw new Error(`Waited for ${pattern} on the terminal (${next}): ${JSON.stringify(this.text)}`);
      }
    }
  }

  /** Waits for the end and returns the exit code of the program. */
  async code(): Promise<number> {
    const { code } = await this.#child.status;
    await this.#ended;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close().catch(() => {});
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      // It has ended already.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#child.status;
    await this.#ended;
    await Deno.remove(this.#folder, { recursive: true });
  }
}
