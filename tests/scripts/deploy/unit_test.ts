// The systemd units: what systemd itself says about them, and that the program does what their variables promise.

import assert from "node:assert/strict";
import { parseDuration } from "../../../src/core/duration.ts";
import { SETTINGS } from "../../../src/core/settings/declarations.ts";
import { findProgram, readShipped, replaceOnce } from "../../support/deploy.ts";
import { run, startServer } from "../../support/process.ts";

const UNIT = readShipped("wsward.service");
const TEMPLATE = readShipped("wsward@.service");
const TLS = readShipped("tls.conf");
const FIXTURES = new URL("../../fixtures/tls/", import.meta.url).pathname;

/** The version of `security --offline`. */
const LEAST_VERSION = 250;
const isMissing = await systemdVersion() < LEAST_VERSION;
const where = isMissing ? ` (skipped: systemd-analyze ${LEAST_VERSION} or later is not installed)` : "";

async function systemdVersion(): Promise<number> {
  const analyze = findProgram("systemd-analyze");
  if (analyze === undefined) return 0;
  const { stdout } = await new Deno.Command(analyze, { args: ["--version"] }).output();
  return Number(/^systemd (\d+)/.exec(new TextDecoder().decode(stdout))?.[1]);
}

/** Has systemd-analyze check `unit`, with the drop-in or without; returns its exit code and its complaints. */
async function analyze(args: readonly string[], unit: string, dropIn?: string): Promise<[number, string]> {
  const folder = Deno.makeTempDirSync();
  const path = `${folder}/wsward.service`;
  // An executable that is not there would be all that it says.
  Deno.writeTextFileSync(path, replaceOnce(unit, { "/usr/local/bin/wsward": Deno.execPath() }));
  if (dropIn !== undefined) {
    Deno.mkdirSync(`${path}.d`);
    Deno.writeTextFileSync(`${path}.d/tls.conf`, dropIn);
  }
  const { code, stderr } = await new Deno.Command(findProgram("systemd-analyze")!, {
    args: [...args, path],
    env: { SYSTEMD_LOG_LEVEL: "warning" },
    stdout: "null",
  }).output();
  Deno.removeSync(folder, { recursive: true });
  return [code, new TextDecoder().decode(stderr)];
}

/** The values of a name in a unit, in their order. */
function valuesOf(text: string, name: string): string[] {
  return [...text.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map(([, value]) => value!);
}

/** What `Environment=` sets, with folders below `root` in place of systemd's; they are made as systemd makes them. */
function environmentOf(text: string, root: string): Record<string, string> {
  const folders = { "%t": "run", "%S": "state", "%L": "logs", "%C": "cache", "%d": "credentials" };
  for (const folder of Object.values(folders)) {
    const isOurs = folder !== "credentials";
    Deno.mkdirSync(`${root}/${folder}${isOurs ? "/wsward" : ""}`, { recursive: true, mode: 0o700 });
  }
  return Object.fromEntries(
    valuesOf(text, "Environment").map((assignment) => {
      const [name, ...value] = assignment.split("=");
      const filled = value.join("=").replace(/%\w/g, (specifier) => {
        return `${root}/${folders[specifier as keyof typeof folders]}`;
      });
      return [name!, filled];
    }),
  );
}

for (const dropIn of [undefined, TLS]) {
  const what = dropIn === undefined ? "the unit" : "the unit with tls.conf";
  Deno.test({
    name: `systemd has nothing to say against ${what}${where}`,
    ignore: isMissing,
    fn: async () => {
      assert.deepEqual(await analyze(["verify"], UNIT, dropIn), [0, ""]);
    },
  });
}

Deno.test({
  name: `a mistake in the unit would be found${where}`,
  ignore: isMissing,
  fn: async () => {
    const [, complaint] = await analyze(["verify"], replaceOnce(UNIT, { "LimitNOFILE": "LimitNOFILES" }));
    assert.match(complaint, /LimitNOFILES/);
  },
});

Deno.test({
  name: `systemd finds that the unit is exposed by 2.0 of 10 at most${where}`,
  ignore: isMissing,
  fn: async () => {
    const judge = ["security", "--offline=true", "--threshold=20"];
    assert.equal((await analyze(judge, UNIT))[0], 0);
    const weaker = replaceOnce(UNIT, { "CapabilityBoundingSet=\n": "", "NoNewPrivileges=yes\n": "" });
    assert.equal((await analyze(judge, weaker))[0], 1);
  },
});

Deno.test("the unit leaves the program enough time and descriptors for its defaults, and lets V8 make code", () => {
  const stopMs = parseDuration(valuesOf(UNIT, "TimeoutStopSec")[0]!)!;
  assert.ok(stopMs > SETTINGS.drainTimeout.default);
  // The client's, and both ends of the private one.
  assert.ok(Number(valuesOf(UNIT, "LimitNOFILE")[0]) > 3 * SETTINGS.maxConnections.default);
  assert.deepEqual(valuesOf(UNIT, "MemoryDenyWriteExecute"), []);
  assert.deepEqual(valuesOf(UNIT, "RuntimeDirectoryMode"), ["0700"]);
});

Deno.test({
  name: "the program starts with the variables of the unit and of tls.conf, and keeps to their folders",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const root = Deno.makeTempDirSync();
    const env = environmentOf(UNIT + TLS, root);
    const credentials = [...valuesOf(UNIT + TLS, "LoadCredential")].map((value) => value.split(":")[0]!);
    assert.deepEqual(credentials, ["wsward.key", "tls.crt", "tls.key"]);
    const [key, cert, tlsKey] = credentials.map((name) => `${root}/credentials/${name}`);
    assert.equal((await run(["key", "create", "--out", key!], { folder: root })).code, 0);
    Deno.copyFileSync(`${FIXTURES}server.pem`, cert!);
    Deno.copyFileSync(`${FIXTURES}server.key.pem`, tlsKey!);
    assert.deepEqual(valuesOf(UNIT, "ExecStart"), [
      "/usr/bin/env --block-signal=USR1 /usr/local/bin/wsward serve",
    ]);

    // The executable unpacks itself there; Deno would look for its packages.
    assert.equal(env.XDG_CACHE_HOME, `${root}/cache/wsward`);
    delete env.XDG_CACHE_HOME;
    // That port may be taken here, and there are machines without IPv6.
    assert.deepEqual([env.WSWARD_ADMIN_LISTEN, env.WSWARD_HOST], ["127.0.0.1:9090", "::"]);
    await using program = startServer([], {
      env: { ...env, WSWARD_ADMIN_LISTEN: "127.0.0.1:0", WSWARD_HOST: "127.0.0.1" },
      permissions: [
        `--allow-read=${root}`,
        `--allow-write=${root}`,
        `--allow-net=unix:${root}/run/wsward/echo.sock,unix:${root}/run/wsward/secure.sock`,
      ],
    });
    await program.port("secure");
    assert.match(program.stdout.text, /^Listening on wss:/);
    await program.atRest("secure");
    for (const file of ["run/wsward/echo.sock", "state/wsward/state.sqlite", "logs/wsward/errors.log"]) {
      assert.ok(Deno.statSync(`${root}/${file}`));
    }
    program.signal("SIGTERM");
    assert.equal((await program.result()).code, 0);
    assert.deepEqual([...Deno.readDirSync(program.folder)], []);
    await Deno.remove(root, { recursive: true });
  },
});

Deno.test("the unit for several processes is the unit, but for what each has for itself", () => {
  const own = (text: string) =>
    text.split("\n").filter((line) => !line.startsWith("#")).map((line) =>
      line.replaceAll("-%i", "").replace("909%i", "9090")
    )
      .map((line) => line.replace(", process %i", ""));
  const more = ["Environment=WSWARD_REUSE_PORT=true", "Environment=WSWARD_NODE_NAME=%l", "User=wsward"];
  const rest = own(TEMPLATE).filter((line) => !more.includes(line));
  assert.deepEqual(rest, own(UNIT));
  // With a user for each, the second could not listen where the first does.
  for (const line of more) assert.ok(own(TEMPLATE).includes(line), line);
});

Deno.test({
  name: `systemd has nothing to say against the unit for several processes${where}`,
  ignore: isMissing,
  fn: async () => {
    const folder = Deno.makeTempDirSync();
    Deno.writeTextFileSync(
      `${folder}/wsward@.service`,
      replaceOnce(TEMPLATE, { "/usr/local/bin/wsward": Deno.execPath() }),
    );
    const { code, stderr } = await new Deno.Command(findProgram("systemd-analyze")!, {
      args: ["verify", `${folder}/wsward@1.service`],
      env: { SYSTEMD_LOG_LEVEL: "warning" },
      stdout: "null",
    }).output();
    Deno.removeSync(folder, { recursive: true });
    assert.deepEqual([code, new TextDecoder().decode(stderr)], [0, ""]);
  },
});
