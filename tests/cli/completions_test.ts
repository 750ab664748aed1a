// The scripts of `completions` in the shells that they are for.

import assert from "node:assert/strict";
import {
  type Complete,
  completeInBash,
  completeInFish,
  completeInZsh,
  completeInZshByName,
} from "../support/shells.ts";
import { findProgram } from "../support/deploy.ts";
import { run } from "../support/process.ts";

async function runMain(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(args, { onlyPermissions: ["--no-prompt"] });
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout;
}

/** What the help of a command lists: flags, or the commands below it. */
async function listed(what: "flags" | "commands", ...command: readonly string[]): Promise<string[]> {
  const help = await runMain(...command, "--help");
  const pattern = what === "flags" ? /^ {2}(?:-\w, )?(--[a-z-]+)/gm : /^ {2}([a-z]+) /gm;
  const text = what === "flags"
    ? help
    : help.slice(help.search(/\n(Serve|Commands):/), help.indexOf("\nExamples:"));
  return Array.from(text.matchAll(pattern), ([, name]) => name!).sort();
}

/** Each line, and what its last word can become. */
async function expectations(): Promise<ReadonlyMap<string, readonly string[]>> {
  return new Map([
    ["wsward ", await listed("commands")],
    ["wsward se", ["selftest", "serve", "sessions"]],
    ["wsward token ", await listed("commands", "token")],
    ["wsward help ser", ["ser"]],
    ["wsward bans a", ["add"]],
    ["wsward bans --url http://127.0.0.1:9090 r", ["remove"]],
    ["wsward bans --url=http://127.0.0.1:9090 r", ["remove"]],
    // The word `add` is a value here, and no command.
    ["wsward bans --issuer add --f", ["--f"]],
    ["wsward completions ", ["bash", "fish", "zsh"]],
    ["wsward --v", ["--version"]],
    ["wsward serve --", await listed("flags", "serve")],
    ["wsward serve --ech", ["--echo-port", "--echo-prefix"]],
    ["wsward serve --no-s", ["--no-secure"]],
    ["wsward serve --no-echo --host ::1 --dra", ["--drain-timeout"]],
    ["wsward serve --allow-ip 192.0.2.1 --allow-i", ["--allow-ip"]],
    ["wsward token create --", await listed("flags", "token", "create")],
    ["wsward bans add --", await listed("flags", "bans", "add")],
    ["wsward serve --log-level ", ["debug", "error", "fatal", "info", "warning"]],
    ["wsward serve --log-level=w", ["--log-level=warning"]],
    ["wsward key create --alg PS", ["PS256"]],
    // Files are completed where there is one to be named, and nowhere else.
    ["wsward serve --key-file my", ["my key.pem"]],
    ["wsward serve --log-file o", ["other.log"]],
    ["wsward serve --host my", ["my"]],
    ["wsward log verify o", ["other.log"]],
    ["wsward explain o", ["o"]],
    ["wsward connect --", await listed("flags", "connect")],
    ["wsward connect --present ", ["cookie", "first", "header", "subprotocol"]],
    ["wsward selftest --fail-on ", ["fail", "never", "warn"]],
    ["wsward selftest --junit o", ["other.log"]],
    ["wsward misbehave --max-s", ["--max-sent"]],
  ]);
}

const SHELLS: readonly (readonly [name: string, program: string, complete: Complete])[] = [
  ["bash", "bash", completeInBash],
  ["zsh", "zsh", completeInZsh],
  ["zsh, from its search path", "zsh", completeInZshByName],
  ["fish", "fish", completeInFish],
];

for (const [name, program, complete] of SHELLS) {
  Deno.test({
    name: `completes commands, flags, words and files (${name})`,
    ignore: findProgram(program) === undefined || findProgram("script") === undefined,
    async fn() {
      const folder = await Deno.makeTempDir();
      for (const file of ["my key.pem", "other.log"]) await Deno.writeTextFile(`${folder}/${file}`, "");
      const expected = await expectations();
      const lines = [...expected.keys()];
      const completed = await complete(lines, { folder, script: await runMain("completions", program) });
      assert.deepEqual(new Map(lines.map((line, i) => [line, completed[i]])), expected);
      await Deno.remove(folder, { recursive: true });
    },
  });
}
