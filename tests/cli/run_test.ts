// The command line as a process with the least permissions: what is printed where, and the exit codes.

import assert from "node:assert/strict";
import { EXECUTABLE, programCommand } from "../support/process.ts";

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function runMain(
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
  permissions: readonly string[] = [],
): Promise<Outcome> {
  // Colour on demand must not make the program ask for a variable that it has no permission to read.
  const env = { FORCE_COLOR: "1", ...variables };
  const command = programCommand(args, ["--no-prompt", "--allow-env=WSWARD_*", ...permissions], env);
  const cwd = await Deno.makeTempDir();
  const { code, stdout, stderr } = await new Deno.Command(command.path, { ...command, cwd, stdin: "null" })
    .output();
  // Fails if anything was left there.
  await Deno.remove(cwd);
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

function assertOneLine({ code, stdout, stderr }: Outcome, expectedCode: number, expected: RegExp): void {
  assert.match(stderr, expected);
  assert.match(stderr, /^Cannot [^\n]+\n$/, "stderr must be one line");
  assert.doesNotMatch(stderr.trimEnd(), /\p{Cc}/u, "stderr must not hold control characters");
  assert.equal(stdout, "");
  assert.equal(code, expectedCode);
}

function assertHelp({ code, stdout, stderr }: Outcome, expected: RegExp): void {
  assert.equal(stderr, "");
  assert.match(stdout, expected);
  const longest = Math.max(...stdout.split("\n").map((line) => line.length));
  assert.ok(longest <= 80, `the help is ${longest} columns wide`);
  assert.equal(code, 0);
}

Deno.test("prints help on stdout when no command is given", async () => {
  assertHelp(await runMain([]), /^Usage: (deno task )?wsward /);
});

Deno.test("prints help when a command lacks its second word", async () => {
  assertHelp(await runMain(["token"]), /^Usage: (deno task )?wsward token /);
});

Deno.test("explains every flag with its range, default and variable", async () => {
  const help = await runMain(["serve", "--help"]);
  assertHelp(help, /^Usage: (deno task start|wsward serve) /);
  const words = help.stdout.replaceAll(/\s+/g, " ");
  assert.ok(words.includes("--max-message-size <size> "));
  assert.ok(words.includes("(1B to 64MiB; default 1MiB; WSWARD_MAX_MESSAGE_SIZE)"));
  assert.ok(words.includes("(WSWARD_ECHO=false)"));
  assert.ok(words.includes("Timeouts: --handshake-timeout <duration>"));
});

Deno.test("prints the version", async () => {
  const { code, stdout, stderr } = await runMain(["--version"]);
  assert.match(stdout, /^wsward \d+\.\d+\.\d+\n$/);
  assert.equal(stderr, "");
  assert.equal(code, 0);
});

const WRONG_COMMAND_LINES: readonly (readonly [name: string, args: readonly string[], expected: RegExp])[] = [
  ["an unknown command", ["serv"], /unknown command 'serv' \(Did you mean serve\?\)/],
  ["an unknown second word", ["token", "creat"], /unknown command 'creat' \(Did you mean create\?\)/],
  ["an unknown flag", ["serve", "--echo-prot", "1"], /'--echo-prot' \(Did you mean --echo-port\?\)/],
  ["an unknown flag before the command", ["--bogus", "serve"], /unknown option '--bogus'/],
  [
    "an unknown flag that is not one line",
    ["serve", "--a\n\u001b[31mb\u009b1m"],
    /--a \\u\{1b\}\[31mb\\u\{9b\}1m/,
  ],
  ["an excess argument", ["serve", "now"], /too many arguments for 'serve'.* but got 1: now; see/],
  ["a token where none belongs", ["sessions", "eyJh.eyJi.c-_"], / but got 1: \[token\]; see/],
  ["a token in an unknown flag", ["serve", "--token=eyJh.eyJi.c"], /unknown option '--token=\[token\]'/],
  ["a token in place of a URL", ["connect", "eyJh.eyJi.c"], /Cannot use URL "\[token\]": it must be/],
  ["a token in place of a topic", ["explain", "eyJh.eyJi.c"], /Cannot explain "\[token\]": it is no topic/],
  ["a password in an argument", ["serve", "redis://a:b@c"], / but got 1: redis:\/\/\.\.\.@c; see/],
  ["a password in a command", ["redis://a:b@c/d@e"], /unknown command 'redis:\/\/\.\.\.@e'/],
  ["a password in an unknown flag", ["serve", "--rediss=redis://a:b@c"], /'--rediss=redis:\/\/\.\.\.@c'/],
  ["an excess argument after --", ["serve", "--", "--host"], /too many arguments for 'serve'/],
  ["a wrong Redis", ["serve", "--redis", "http://x"], /"\.\.\.": it must be redis:\/\/host:port, rediss:/],
  ["a missing value", ["serve", "--host"], /'--host <text>' argument missing/],
  [
    "a flag in place of a value",
    ["serve", "--host", "--no-echo"],
    /--host without a value.*--host=--no-echo/,
  ],
  ["a flag given twice", ["serve", "--echo-port", "1", "--echo-port=2"], /Cannot use --echo-port twice/],
  ["a switch given twice", ["serve", "--no-echo", "--no-echo"], /Cannot use --no-echo twice/],
  ["a switch with a value", ["serve", "--no-echo=false"], /unknown option '--no-echo=false'/],
  [
    "a wrong value",
    ["serve", "--max-message-size", "0"],
    /--max-message-size "0": it must be from 1B to 64MiB/,
  ],
  ["a wrong value after =", ["serve", "--echo-port=-1"], /--echo-port "-1": it must be from 0 to 65535/],
  [
    "a value that is not one line",
    ["serve", "--host", "a\n\u001b[31m\u2028"],
    /--host "a\\n\\u001b\[31m\\u\{2028\}"/,
  ],
  ["two forms of the version", ["version", "--json", "--sbom"], /Cannot use --json with --sbom/],
  ["a shell that is not known", ["completions", "tcsh"], /shell "tcsh": it must be one of bash, zsh, fish/],
  ["permissions without a folder", ["serve", "--print-permissions"], /permissions without --runtime-dir/],
  ["no endpoint at all", ["serve", "--no-echo", "--no-secure"], /nothing is left to serve/],
  ["a token without a user", ["token", "create"], /'--user <name>' not specified/],
  ["a token for an empty user", ["token", "create", "--user", ""], /Cannot use --user ""/],
  ["a token for a user with a newline", ["token", "create", "--user", "a\nb"], /Cannot use --user "a\\nb"/],
  [
    "a token for a user that is too long",
    ["token", "create", "--user", "ü".repeat(257)],
    /it must be 1 to 256/,
  ],
  ["a token for two users", ["token", "create", "--user", "a", "--user", "b"], /Cannot use --user twice/],
  [
    "a token that is never valid",
    ["token", "create", "--user", "a", "--expires-in", "0s"],
    /from 1s to 365d/,
  ],
  [
    "a claim without a value",
    ["token", "create", "--user", "a", "--claim", "admin"],
    /--claim "admin": write it/,
  ],
  ["a claim of the server's", ["token", "create", "--user", "a", "--claim", "exp=1"], /--claim "exp=1"/],
  [
    "a claim given twice",
    ["token", "create", "--user", "a", "--claim", "b=1", "--claim", "b=1"],
    /this name was given before/,
  ],
];

for (const [name, args, expected] of WRONG_COMMAND_LINES) {
  Deno.test(`refuses ${name} with exit code 2 and one line`, async () => {
    assertOneLine(await runMain(args), 2, expected);
  });
}

Deno.test("refuses a wrong variable with exit code 2 and one line", async () => {
  const outcome = await runMain(["serve"], { WSWARD_DRAIN_TIMEOUT: "10" });
  assertOneLine(outcome, 2, /WSWARD_DRAIN_TIMEOUT "10": it must be from 100ms to 1h/);
});

Deno.test("says how to get a key when there is none, with exit code 1", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const keyFile = `${folder}/missing.key`;
    const create = ["token", "create", "--user", "ü".repeat(256)];
    const byFlag = await runMain([...create, "--key-file", keyFile], {}, ["--allow-read"]);
    assertOneLine(byFlag, 1, /missing\.key": no such file \(start the server once/);
    const byVariable = await runMain(create, { WSWARD_KEY_FILE: keyFile }, ["--allow-read"]);
    assertOneLine(byVariable, 1, /missing\.key": no such file \(start the server once/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("says in one line which permission is missing, with exit code 1 (source tree only)", {
  ignore: EXECUTABLE !== undefined,
}, async () => {
  const outcome = await runMain(["token", "create", "--user", "alice"]);
  assertOneLine(outcome, 1, /wsward\.key/);
});
