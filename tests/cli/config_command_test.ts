// The settings file as a user has it: what is served, what is refused, and what `config check` and `config show` print.

import assert from "node:assert/strict";
import { SETTING_NAMES } from "../../src/core/settings/declarations.ts";
import { keyOf } from "../../src/core/settings/settings.ts";
import { EXECUTABLE, Program, type Result, run, type StartOptions } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";

async function withFolder(
  files: Readonly<Record<string, string>>,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) Deno.writeTextFileSync(`${folder}/${name}`, text);
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function assertRefused({ code, stdout, stderr }: Result, expected: string, expectedCode = 2): void {
  assert.deepEqual([stderr, stdout, code], [`${expected}\n`, "", expectedCode]);
}

async function assertEchoes(program: Program, expected: string): Promise<void> {
  using client = await RawClient.connect({ port: await program.port("echo") });
  await client.sendText("hello");
  assert.equal(await client.nextText(), expected);
  client.close();
}

for (
  const [name, text] of [
    ["wsward.toml", '# Only one endpoint\necho-port = 0\nsecure = false\necho-prefix = "From a file: "\n'],
    ["wsward.json", '{"echo-port": 0, "secure": false, "echo-prefix": "From a file: "}'],
  ] as const
) {
  Deno.test(`serves what ${name} says, and a variable and a flag win over it`, async () => {
    await withFolder({ [name]: text }, async (folder) => {
      const cases: readonly (readonly [string[], StartOptions, string])[] = [
        [["--config", name], {}, "From a file: hello"],
        [[], { env: { WSWARD_CONFIG: name } }, "From a file: hello"],
        [["--config", name], { env: { WSWARD_ECHO_PREFIX: "From a variable: " } }, "From a variable: hello"],
        [["--config", name, "--echo-prefix", ""], { env: { WSWARD_ECHO_PREFIX: "x" } }, "hello"],
      ];
      for (const [args, options, expected] of cases) {
        await using program = new Program(["serve", ...args], { folder, ...options });
        await assertEchoes(program, expected);
        assert.match(program.stdout.text, /^Listening on \S+ \(echo\)\n$/);
        program.signal("SIGTERM");
        assert.equal((await program.result()).code, 0);
      }
    });
  });
}

Deno.test("--config wins over WSWARD_CONFIG", async () => {
  await withFolder({ "a.toml": "echo-port = 1", "b.json": '{"echo-port": 2}' }, async (folder) => {
    const { stdout } = await run(["config", "show", "--config", "b.json"], {
      folder,
      env: { WSWARD_CONFIG: "a.toml" },
    });
    assert.match(stdout, /^echo-port +2 +b\.json:1$/m);
  });
});

Deno.test("paths in the file start at the working directory, and SIGHUP does not read the file again", async () => {
  await withFolder({}, async (folder) => {
    Deno.mkdirSync(`${folder}/etc`);
    const write = (prefix: string) =>
      Deno.writeTextFileSync(
        `${folder}/etc/wsward.toml`,
        `key-file = "file.key"\necho-port = 0\nsecure-port = 0\necho-prefix = "${prefix}"\n`,
      );
    write("first ");
    await using program = new Program(["serve", "--config", "etc/wsward.toml"], { folder });
    await assertEchoes(program, "first hello");
    assert.ok(Deno.statSync(`${folder}/file.key`).isFile);
    write("second ");
    program.signal("SIGHUP");
    await program.logged(/keys\.reloaded/);
    await assertEchoes(program, "first hello");
    program.signal("SIGTERM");
    assert.equal((await program.result()).code, 0);
  });
});

Deno.test("tokens are made and judged by what the file says", async () => {
  const toml = 'key-file = "made.key"\nissuer = "me"\naudience = ["a", "b"]\n';
  await withFolder({ "wsward.toml": toml }, async (folder) => {
    const config = ["--config", "wsward.toml"];
    assert.equal((await run(["key", "create", "--out", "made.key"], { folder })).code, 0);
    const made = await run(["token", "create", "--user", "alice", ...config], { folder });
    assert.deepEqual([made.code, made.stderr], [0, ""]);
    const claims = JSON.parse(atob(made.stdout.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/")));
    assert.deepEqual([claims.iss, claims.aud], ["me", ["a", "b"]]);
    const token = made.stdout.trim();
    assert.equal(
      (await run(["token", "verify", token], { folder, env: { WSWARD_CONFIG: "wsward.toml" } })).code,
      0,
    );
    const other = await run(["token", "verify", token, ...config, "--issuer", "you"], { folder });
    assert.deepEqual([other.code, other.stderr], [1, ""]);
  });
});

Deno.test("a file that can't be used ends every command that reads it with its first mistake", async () => {
  await withFolder({ "wsward.toml": "\necho-prot = 1\nhost = 1\n" }, async (folder) => {
    const expected = 'wsward.toml:2: Cannot use "echo-prot": it is no setting, did you mean echo-port?';
    const commands = [
      ["serve"],
      ["config", "show"],
      ["token", "create", "--user", "alice"],
      ["token", "verify", "a.b.c"],
      ["sessions"],
    ];
    for (const command of commands) {
      assertRefused(await run([...command, "--config", "wsward.toml"], { folder }), expected);
    }
  });
});

Deno.test("the rules of what can be together hold for the file too", async () => {
  await withFolder({ "wsward.toml": 'log-level = "debug"\nlog-chain = true' }, async (folder) => {
    const expected = "wsward.toml:2: Cannot use --log-chain with text: it needs --log-format json";
    assertRefused(await run(["serve", "--config", "wsward.toml"], { folder }), expected);
  });
});

Deno.test("says in one line why there is no file that can be read", async () => {
  await withFolder({ "empty.toml": "", "large.toml": "#".repeat(300_000) }, async (folder) => {
    Deno.mkdirSync(`${folder}/folder.json`);
    Deno.writeFileSync(`${folder}/latin1.toml`, Uint8Array.of(0x23, 0xe9));
    const cannotRead = "Cannot read the settings file";
    for (
      const [name, expected, code] of [
        ["missing.toml", `${cannotRead} "missing.toml": it does not exist`, 1],
        ["folder.json", `${cannotRead} "folder.json": it is a folder`, 1],
        ["empty.toml", "empty.toml:1: Cannot read it: it is empty", 2],
        ["large.toml", `${cannotRead} "large.toml": it is too large (300000 bytes, at most 262144)`, 1],
        ["latin1.toml", "latin1.toml:1: Cannot read it: it must be UTF-8", 2],
        ["a.yaml", 'Cannot use --config "a.yaml": it must be a file that ends in .json or .toml', 2],
        ["", 'Cannot use --config "": it must be a file that ends in .json or .toml', 2],
      ] as const
    ) {
      assertRefused(await run(["serve", "--config", name], { folder }), expected, code);
    }
    assertRefused(
      await run(["serve"], { folder, env: { WSWARD_CONFIG: "wsward" } }),
      'Cannot use WSWARD_CONFIG "wsward": it must be a file that ends in .json or .toml',
    );
  });
});

Deno.test("says in one line that it may not read the file (source tree only)", {
  ignore: EXECUTABLE !== undefined,
}, async () => {
  const expected = "access to it was not allowed when the program was started";
  const result = await run(["serve", "--config", "/etc/x.toml"]);
  const command =
    "deno run --no-prompt --allow-net --allow-read --allow-write --allow-env=WSWARD_* main.ts " +
    "serve --config /etc/x.toml --runtime-dir wsward.run";
  const hint = `this would work: ${command}`;
  assertRefused(result, `Cannot read the settings file "/etc/x.toml": ${expected}; ${hint}`, 1);
});

Deno.test("check prints every mistake of file, flags and variables, and ends with 2", async () => {
  const toml = 'host = ""\ntls-key = "k"\necho-port = 1\necho-port = 70000\nban-time = 5\n';
  await withFolder({ "wsward.toml": toml }, async (folder) => {
    const result = await run(["config", "check", "--config", "wsward.toml", "--secure-port", "x"], {
      folder,
      env: { WSWARD_LOG_LEVEL: "loud" },
    });
    assert.equal(result.stderr, "");
    assert.deepEqual(result.stdout.split("\n"), [
      'wsward.toml:1: Cannot use host "": it must be at least one character, and no control characters',
      "wsward.toml:4: Cannot use echo-port twice: line 3 has it already",
      "wsward.toml:5: Cannot use ban-time 5: it must be a string, from 1s to 30d; write 5s",
      'Cannot use --secure-port "x": it must be from 0 to 65535',
      'Cannot use WSWARD_LOG_LEVEL "loud": it must be one of debug, info, warning, error, fatal',
      "wsward.toml:2: Cannot use only one of --tls-cert and --tls-key: TLS needs both",
      "",
    ]);
    assert.equal(result.code, 2);
  });
});

Deno.test("check says plainly that all is well", async () => {
  await withFolder({ "wsward.json": '{"echo-port": 0, "secure": false}' }, async (folder) => {
    const file = await run(["config", "check", "--config", "wsward.json"], { folder });
    assert.deepEqual(file, { code: 0, stdout: "All is well (settings in the file: 2)\n", stderr: "" });
    const none = await run(["config", "check", "--host", "::1"], { folder });
    assert.deepEqual(none, { code: 0, stdout: "All is well (no file)\n", stderr: "" });
  });
});

Deno.test("check and show write nothing that could paint a terminal", async () => {
  const name = "\u202ewsward.toml";
  await withFolder({ [name]: 'host = "\u202e"\n"\\u001b[31m" = 1' }, async (folder) => {
    const check = await run(["config", "check", "--config", name], { folder });
    assert.equal(
      check.stdout,
      '\\u{202e}wsward.toml:2: Cannot use "\\u001b[31m": it is no setting: wsward serve --help lists them\n',
    );
    Deno.writeTextFileSync(`${folder}/${name}`, 'host = "\u202e"');
    const show = await run(["config", "show", "--config", name], { folder });
    assert.match(show.stdout, /^host +\\u\{202e\} +\\u\{202e\}wsward\.toml:1$/m);
    const json = await run(["config", "show", "--json", "--config", name], { folder });
    assert.doesNotMatch(json.stdout.trimEnd(), /\p{C}/u);
    assert.equal(JSON.parse(json.stdout).host.value, "\u202e");
  });
});

const SHOWN = 'echo = false\n\naudience = ["a", "b"]\nmax-connections = "unlimited"\nmax-fragments = 5\n' +
  'echo-prefix = "> "\nban-time = "90s"\n';

Deno.test("show prints each setting and where it comes from", async () => {
  await withFolder({ "wsward.toml": SHOWN }, async (folder) => {
    const result = await run(
      ["config", "show", "--config", "wsward.toml", "--replay-check", "--ban-time=1h"],
      {
        folder,
        env: { WSWARD_ALLOW_HOST: "a,b", WSWARD_SECURE: "true", WSWARD_ISSUER: "me" },
      },
    );
    assert.deepEqual([result.stderr, result.code], ["", 0]);
    const rows = result.stdout.trimEnd().split("\n").map((line) => line.split(/ {2,}/));
    assert.deepEqual(rows[0], ["SETTING", "VALUE", "FROM"]);
    const values = new Map(rows.slice(1).map(([key = "", value, from]) => [key, [value, from]]));
    for (
      const [key, ...expected] of [
        ["echo", "false", "wsward.toml:1"],
        ["secure", "true", "WSWARD_SECURE"],
        ["audience", "a, b", "wsward.toml:3"],
        ["max-connections", "unlimited", "wsward.toml:4"],
        ["max-fragments", "5", "wsward.toml:5"],
        ["echo-prefix", '"> "', "wsward.toml:6"],
        ["ban-time", "1h", "--ban-time"],
        ["replay-check", "true", "--replay-check"],
        ["allow-host", "a, b", "WSWARD_ALLOW_HOST"],
        ["issuer", "me", "WSWARD_ISSUER"],
        ["host", "127.0.0.1", "default"],
        ["allow-ip", "none", "default"],
        ["tls-cert", "none", "default"],
        ["idle-timeout", "10m", "default"],
      ]
    ) {
      assert.deepEqual(values.get(key!), expected, key);
    }
  });
});

Deno.test("show --json prints values as a file holds them, so that they can be a file again", async () => {
  await withFolder({ "wsward.toml": SHOWN }, async (folder) => {
    const args = ["config", "show", "--json"];
    const shown = await run([...args, "--config", "wsward.toml", "--ban-time=1h"], {
      folder,
      env: { WSWARD_REPLAY_CHECK: "true" },
    });
    const settings: Record<string, { value: unknown; source: string; from?: string }> = JSON.parse(
      shown.stdout,
    );
    assert.deepEqual(settings["max-fragments"], { value: 5, source: "file", from: "wsward.toml:5" });
    assert.deepEqual(settings["echo"], { value: false, source: "file", from: "wsward.toml:1" });
    assert.deepEqual(settings["replay-check"], {
      value: true,
      source: "environment",
      from: "WSWARD_REPLAY_CHECK",
    });
    assert.deepEqual(settings["ban-time"], { value: "1h", source: "flag", from: "--ban-time" });
    assert.deepEqual(settings["tls-cert"], { value: null, source: "default" });
    assert.deepEqual(settings["echo-port"], { value: 8765, source: "default" });

    const values = Object.entries(settings).map(([key, { value }]) => [key, value] as const);
    const written = Object.fromEntries(values.filter(([, value]) => value !== null));
    Deno.writeTextFileSync(`${folder}/again.json`, JSON.stringify(written));
    const again = await run([...args, "--config", "again.json"], { folder });
    const valuesAgain = Object.entries<{ value: unknown }>(JSON.parse(again.stdout)).map((
      [key, { value }],
    ) => [key, value]);
    // The test's own folder of sockets is in a variable, both times.
    const own = ([key]: readonly unknown[]) => key !== "runtime-dir";
    assert.deepEqual(valuesAgain.filter(own), values.filter(own));
  });
});

Deno.test("the help of serve tells about the file", async () => {
  const { stdout } = await run(["serve", "--help"]);
  const words = stdout.replaceAll(/\s+/g, " ");
  assert.match(
    words,
    /--config <path> file of settings, named like the flags: echo-port = 0, and echo = false for --no-echo/,
  );
  assert.match(words, /relative paths start at the working directory/);
});

Deno.test("the sample is a settings file with every setting, in which each default can be used", async () => {
  const sample = await run(["config", "init"], { onlyPermissions: ["--no-prompt"] });
  assert.deepEqual([sample.code, sample.stderr], [0, ""]);
  for (const name of SETTING_NAMES) assert.match(sample.stdout, new RegExp(`^#${keyOf(name)} = `, "m"), name);
  // Those without a default are left as they are.
  const used = sample.stdout.replaceAll(/^#(?=[a-z-]+ = (?!""\s))/gm, "");
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, text, count] of [["sample", sample.stdout, 0], ["used", used, 30]] as const) {
      const file = `${folder}/${name}.toml`;
      await Deno.writeTextFile(file, text);
      const { code, stdout } = await run(["config", "check", "--config", file], {
        onlyPermissions: ["--no-prompt", `--allow-read=${folder}`, "--allow-env=WSWARD_*"],
      });
      assert.equal(code, 0, stdout);
      assert.ok(Number(/in the file: (\d+)/.exec(stdout)?.[1]) >= count, stdout);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
