// A server with an admin listener, and the commands of its operator as processes.

import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import {
  type Program,
  type ProgramCommand,
  programCommand,
  type Result,
  run,
  startServer,
} from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Starts a server with an admin listener on a free port. */
export function startAdministered(args: readonly string[] = [], folder?: string): Program {
  const options = folder === undefined ? {} : { folder };
  return startServer(["--admin-listen", "127.0.0.1:0", ...args], options);
}

/** The URL of its admin listener. */
export async function urlOf(program: Program): Promise<string> {
  return (await program.stdout.until(/Admin on (http:\/\/\S+\/)\n/))[1]!;
}

/** How the task `wsward` runs a command against a server. */
export async function adminCommand(program: Program, args: readonly string[]): Promise<ProgramCommand> {
  const flags = config.tasks.wsward.split(" ").filter((word) => word.startsWith("--"));
  const readable = flags.map((flag) => flag.replace("--allow-read=.", `--allow-read=.,${ROOT}`));
  return programCommand(args, readable, {
    WSWARD_ADMIN_URL: await urlOf(program),
    // A proxy must never see a token.
    HTTP_PROXY: "http://127.0.0.1:9",
    NO_COLOR: "1",
  });
}

/** Runs a command against a server, in its folder. */
export async function admin(program: Program, ...args: string[]): Promise<Result> {
  const command = await adminCommand(program, args);
  const { code, stdout, stderr } = await new Deno.Command(command.path, {
    ...command,
    cwd: program.folder,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  const result = { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  assert.doesNotMatch(result.stdout + result.stderr, /eyJ/, "a token was printed");
  return result;
}

/** The stdout of a command that must succeed. */
export async function succeed(program: Program, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await admin(program, ...args);
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout;
}

/** The line on stderr of a command that must end with 1. */
export async function fail(program: Program, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await admin(program, ...args);
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /^[^\n]+\n$/);
  return stderr;
}

/** A token of the server's key. */
export async function mint(program: Program, ...args: string[]): Promise<string> {
  const { stdout } = await run(["token", "create", ...args], { folder: program.folder });
  return stdout.trim();
}

/** A client with an open session. */
export async function openSession(program: Program, user: string): Promise<RawClient> {
  const client = await RawClient.connect({ port: await program.port("secure") });
  await client.sendText(await mint(program, "--user", user));
  assert.equal(await client.nextText(), "Authenticated!");
  return client;
}

/** The text of its metrics. */
export async function metrics(program: Program): Promise<string> {
  return await (await fetch(`${await urlOf(program)}metrics`)).text();
}

/** Stops a server, which must end well. */
export async function stop(program: Program): Promise<void> {
  program.signal("SIGTERM");
  assert.equal((await program.result()).code, 0);
}
