// The script that measures a first run: it finds the README's command, runs it with only npx, and compares starts.

import assert from "node:assert/strict";
import { readCommand } from "../../scripts/first_run.ts";

const ROOT = new URL("../../", import.meta.url);
const SCRIPT = new URL("scripts/first_run.ts", ROOT).pathname;
const READY = ["sh", "-c", "echo Listening on nothing"];

/** Stands in for npx: insists on what a first user has, and remembers in the home folder that it was run. */
const NPX = `#!/bin/sh
fail() { echo "$1"; exit 1; }
command -v deno && fail "there is a Deno on the path"
[ -f main.ts ] && [ -d .git ] || fail "this is no clone"
[ -z "$XDG_CACHE_HOME$DENO_DIR$npm_config_cache" ] || fail "something else is cached"
if [ -e "$HOME/cached" ]; then echo "$@" >> "$HOME/cached"; else
  [ -z "$(ls -A "$HOME")" ] || fail "the home folder is not empty"
  touch "$HOME/cached"
fi
case "$*" in
  *" task start")
    [ "$WSWARD_ECHO_PORT$WSWARD_SECURE_PORT" = 00 ] || fail "the ports are not free ones"
    echo "Listening on ws://127.0.0.1:1/ (echo)"; sleep 1000 & wait ;;
  *" task test") [ -s "$HOME/cached" ] || fail "not the same home"; echo "$TEST_OUTPUT" ;;
  *) fail "unknown: $*" ;;
esac
`;

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function firstRun(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", SCRIPT, ...args],
    env: { NO_COLOR: "1", ...env },
  }).output();
  const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, stdout: out!, stderr: error! };
}

async function firstRunWithNpx(npx: string, args: readonly string[], env = {}): Promise<Outcome> {
  const bin = await Deno.makeTempDir();
  try {
    // Deno may be where everything else is.
    for (const name of ["node", "npm", "npx", "deno"]) {
      await Deno.writeTextFile(`${bin}/${name}`, npx, { mode: 0o700 });
    }
    return await firstRun([...args, "--rounds", "1", "--", ...READY], {
      PATH: `${bin}:${Deno.env.get("PATH")}`,
      XDG_CACHE_HOME: `${bin}/cache`,
      npm_config_cache: `${bin}/cache`,
      ...env,
    });
  } finally {
    await Deno.remove(bin, { recursive: true });
  }
}

Deno.test("finds both commands in this README, with the same version of Deno", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", ROOT));
  assert.match(readCommand(readme, "start"), /^npx -y deno@\d+\.\d+\.\d+ task start$/);
  assert.equal(readCommand(readme, "test"), readCommand(readme, "start").replace(/start$/, "test"));
});

Deno.test("refuses a README with no command for a task, or with several", () => {
  assert.throws(() => readCommand("`npx -y deno@2.0.0 task starting`", "start"), /it has 0/);
  const two = "`npx -y deno@2.0.0 task start` or `npx -y deno@2.0.1 task start`";
  assert.throws(() => readCommand(two, "start"), /it has 2/);
  assert.equal(readCommand(two.replaceAll("2.0.1", "2.0.0"), "start"), "npx -y deno@2.0.0 task start");
});

Deno.test("runs the start command twice in a clone with an empty home and no Deno, and ends what it starts", async () => {
  const { code, stdout, stderr } = await firstRunWithNpx(NPX, ["--json"]);
  const { clone, isFastEnough } = JSON.parse(stdout);
  assert.equal(code, isFastEnough ? 0 : 1, stderr);
  assert.match(clone.command, /^npx -y deno@[\d.]+ task start$/);
  assert.ok(clone.coldMs > 0 && clone.warmMs > 0);
  assert.equal(clone.test, undefined);
  assert.match(stderr, /^ {2}nothing cached: +ready after [\d.]+ s\n {2}once more: +ready after [\d.]+ s$/m);
});

Deno.test("runs the test command too with --test, and shows its count", async () => {
  const good = await firstRunWithNpx(NPX, ["--json", "--test"], {
    TEST_OUTPUT: "ok | 7 passed | 0 failed (1s)",
  });
  const { clone, isFastEnough } = JSON.parse(good.stdout);
  assert.equal(good.code, isFastEnough ? 0 : 1, good.stderr);
  assert.equal(clone.test.summary, "ok | 7 passed | 0 failed (1s)");
  const none = await firstRunWithNpx(NPX, ["--test"], { TEST_OUTPUT: "nothing to do" });
  assert.match(none.stderr, /^Cannot find the count of npx .* task test: /m);
  assert.equal(none.code, 1);
});

Deno.test("fails with what was said when the command ends before its ready line", async () => {
  const { code, stderr } = await firstRunWithNpx("#!/bin/sh\necho not today; exit 3", []);
  assert.match(stderr, /^Cannot .*ready line.*: not today$/m);
  assert.equal(code, 1);
});

Deno.test("ends with 0 for what starts about as fast as an empty server, and with 1 for what takes longer", async () => {
  const fast = await firstRun(["--no-clone", "--rounds", "2", "--", ...READY]);
  // On a busy machine it may be slow.
  const [, verdict, times] = /^(PASS|FAIL): .* takes ([\d.]+) times as long/m.exec(fast.stderr) ?? [];
  assert.ok(verdict !== undefined, fast.stderr);
  // 1.50 may have been a little less or a little more.
  if (times !== "1.50") assert.equal(verdict, Number(times) < 1.5 ? "PASS" : "FAIL", fast.stderr);
  assert.equal(fast.code, verdict === "PASS" ? 0 : 1);
  assert.match(fast.stdout, /^empty Deno\.serve +\d+ ms +\d+ ms +\d+ ms +1\.00$/m);
  assert.match(fast.stdout, /^sh -c echo Listening on nothing +\d+ ms/m);
  // What starts Deno eight times takes longer than what starts it once.
  const script = `for i in 1 2 3 4 5 6 7 8; do "${Deno.execPath()}" eval 1; done; echo Listening on nothing`;
  // Of three turns one may be slow for another reason.
  const slow = await firstRun(["--no-clone", "--rounds", "3", "--json", "--", "sh", "-c", script]);
  assert.equal(slow.code, 1);
  const { starts, isFastEnough } = JSON.parse(slow.stdout);
  assert.equal(isFastEnough, false);
  assert.ok(
    starts[1].ratio > 1.5 && starts[1].minMs <= starts[1].medianMs && starts[1].medianMs <= starts[1].maxMs,
  );
});

Deno.test("measures main.ts with the permissions of the start task", async () => {
  const { stdout, stderr } = await firstRun(["--no-clone", "--rounds", "1", "--json"]);
  const { starts } = JSON.parse(stdout);
  assert.deepEqual(starts.slice(0, 2).map(({ name }: { name: string }) => name), [
    "empty Deno.serve",
    "main.ts",
  ]);
  assert.match(stderr, /^(PASS|FAIL): /);
});

Deno.test("refuses a command line that can't be used with one line and 2", async () => {
  for (const args of [["--rounds", "0"], ["--rounds", "x"], ["--what"], ["more"], ["--test", "--no-clone"]]) {
    const { code, stderr } = await firstRun(args);
    assert.match(stderr, /^[^\n]+\n$/);
    assert.equal(code, 2);
  }
});
