// The manual page: all that is declared is in it, and programs that read manual pages find no fault.

import assert from "node:assert/strict";
import type { CommandNode } from "../../src/cli/command_tree.ts";
import { createManPage } from "../../src/cli/about/man_page.ts";
import { SETTING_NAMES } from "../../src/core/settings/declarations.ts";
import { flagOf, variableOf } from "../../src/core/settings/settings.ts";
import { CLOSE_CODES } from "../../src/protocol/close_code.ts";
import { findProgram } from "../support/deploy.ts";
import { run } from "../support/process.ts";

async function execute(
  program: string,
  args: readonly string[],
  input = "",
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = new Deno.Command(program, {
    args: [...args],
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

async function readPage(): Promise<string> {
  const { code, stdout, stderr } = await run(["man"], { onlyPermissions: ["--no-prompt"] });
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout;
}

const NODE: CommandNode = {
  path: ["serve"],
  description: ".x 'y' \\fBz\\n `--a-b` ~^",
  arguments: [],
  flags: [],
  commands: [],
};
const AWKWARD: CommandNode = { ...NODE, path: [], commands: [NODE] };

// Each with the flags under which it warns of everything, and those under which it prints plain text.
const READERS = [
  { reader: "mandoc", strict: ["-T", "lint"], plain: ["-T", "ascii"] },
  { reader: "groff", strict: ["-man", "-ww", "-z"], plain: ["-man", "-ww", "-T", "ascii", "-P-c"] },
] as const;

for (const { reader, strict, plain } of READERS) {
  Deno.test({
    name: `warns of nothing in the page (${reader})`,
    ignore: findProgram(reader) === undefined,
    async fn() {
      assert.deepEqual(await execute(reader, strict, await readPage()), { code: 0, stdout: "", stderr: "" });
    },
  });

  Deno.test({
    name: `shows every character as it is (${reader})`,
    ignore: findProgram(reader) === undefined,
    async fn() {
      const page = createManPage(AWKWARD, new Date(0));
      const { code, stdout, stderr } = await execute(reader, plain, page);
      assert.deepEqual([code, stderr], [0, ""]);
      // Bold letters are printed over themselves.
      const text = stdout.split(/.[\b]/).join("");
      assert.ok(text.includes(`${NODE.description} Every command`), text);
      assert.ok(text.includes(`${NODE.description}.\n`), text);
    },
  });
}

Deno.test("has every command, flag, variable and close code, and the day it was made", async () => {
  const page = (await readPage()).replaceAll("\\-", "-").replaceAll(/\\f[BIR]/g, "");
  const sections = Object.fromEntries(
    page.split("\n.SH ").map((section) => [section.split("\n", 1)[0], section]),
  );
  for (const name of SETTING_NAMES) {
    assert.ok(sections["COMMANDS"]!.includes(`\n.TP\n${flagOf(name)}`), name);
    assert.match(
      sections["ENVIRONMENT"]!,
      new RegExp(`\n\\.TP\n${variableOf(name)}(=\\w+)?\nAs ${flagOf(name)}\\.`),
    );
  }
  for (const command of ["serve", "token create", "bans add", "log verify", "version", "man"]) {
    assert.match(sections["SYNOPSIS"]!, new RegExp(`\nwsward ${command}( |\n|$)`));
    assert.match(sections["COMMANDS"]!, new RegExp(`\n\\.SS wsward ${command}( |\n)`));
  }
  for (const [code, { name, meaning }] of Object.entries(CLOSE_CODES)) {
    assert.equal(sections["CLOSE CODES"]!.includes(`\n${code} ${name}\n`), meaning !== undefined, code);
  }
  for (const code of ["0", "1", "2", "130, 143"]) assert.ok(sections["EXIT STATUS"]!.includes(`\n${code}\n`));
  for (const signal of ["SIGINT, SIGTERM", "SIGHUP"]) {
    assert.ok(sections["SIGNALS"]!.includes(`\n${signal}\n`));
  }
  for (const file of ["wsward.key", "websocket_errors.log"]) {
    assert.ok(sections["FILES"]!.includes(`\n${file}\n`));
  }
  // A day may end while the page is made.
  const madeAtMs = Date.parse(/^\.TH WSWARD 1 (\S+) /.exec(page)![1]!);
  assert.ok(Date.now() - madeAtMs < 2 * 86_400_000);
});
