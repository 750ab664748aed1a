// The program with a stderr that nobody reads until the test does.

import { programCommand, startPermissions } from "./process.ts";

/** A running server whose stderr is a pipe that is read by nobody. */
export class SilentServer implements AsyncDisposable {
  readonly #folder = Deno.makeTempDirSync();
  readonly child: Deno.ChildProcess;
  /** The port of the echo endpoint. */
  readonly port: Promise<number>;

  constructor(args: readonly string[]) {
    const runtimeDir = `${this.#folder}/run`;
    const serve = ["serve", "--no-secure", "--echo-port", "0", "--runtime-dir", runtimeDir, ...args];
    const command = programCommand(serve, startPermissions(runtimeDir), { NO_COLOR: "1" });
    this.child = new Deno.Command(command.path, {
      ...command,
      cwd: this.#folder,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.port = this.#readPort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.child.kill("SIGKILL");
    } catch (error) {
      // It has ended already.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.child.status;
    if (!this.child.stderr.locked) await this.child.stderr.cancel();
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #readPort(): Promise<number> {
    let text = "";
    for await (const part of this.child.stdout.pipeThrough(new TextDecoderStream())) {
      text += part;
      const [, port] = /:(\d+)\/ \(echo\)\n/.exec(text) ?? [];
      if (port !== undefined) return Number(port);
    }
    throw new Error(`Ended without a ready line: ${JSON.stringify(text)}`);
  }
}
