// Colours of the log: on a terminal, and nowhere else.

import assert from "node:assert/strict";
import { programCommand, startPermissions } from "../support/process.ts";
import { findProgram } from "../support/deploy.ts";

/** What a server writes on a pseudo-terminal until it has started, with these variables. */
async function startOnTerminal(variables: Readonly<Record<string, string>>): Promise<string> {
  const folder = await Deno.makeTempDir();
  const runtimeDir = `${folder}/run`;
  const args = ["serve", "--no-secure", "--echo-port", "0"];
  const command = programCommand(args, startPermissions(runtimeDir, []), {
    WSWARD_RUNTIME_DIR: runtimeDir,
    TERM: "xterm",
    NO_COLOR: "",
    ...variables,
  });
  const quoted = [command.path, ...command.args].map((word) => `'${word}'`).join(" ");
  const child = new Deno.Command("script", {
    ...command,
    path: undefined,
    args: ["-qec", `exec ${quoted}`, "/dev/null"],
    cwd: folder,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  } as Deno.CommandOptions).spawn();
  let text = "";
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (/Listening on/.test(text) && /server\.started/.test(text)) break;
  }
  child.kill("SIGTERM");
  await child.status;
  await Deno.remove(folder, { recursive: true });
  return text;
}

Deno.test({
  name: "the log has colours on a terminal, and none with NO_COLOR",
  ignore: findProgram("script") === undefined,
  async fn() {
    const painted = await startOnTerminal({});
    assert.ok(painted.includes("\x1b[32mINFO\x1b[0m \x1b[1mserver.started\x1b[0m version="), painted);
    const plain = await startOnTerminal({ NO_COLOR: "1" });
    assert.match(plain, /INFO server\.started version=/);
    assert.ok(!plain.includes("\x1b["));
  },
});
