// The program and what surrounds it: who reads its output, other servers, other users, signals.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import {
  EXECUTABLE,
  Program,
  programCommand,
  run,
  startPermissions,
  startServer,
} from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { SilentServer } from "../support/silent_process.ts";

const IS_WINDOWS = Deno.build.os === "windows";

/** Two servers in one folder, with one runtime folder. */
function sharedFolder() {
  const folder = Deno.makeTempDirSync();
  const runtimeDir = `${folder}/run`;
  const env = { WSWARD_RUNTIME_DIR: runtimeDir };
  return { folder, runtimeDir, options: { folder, env, onlyPermissions: startPermissions(runtimeDir) } };
}

async function assertEchoes(port: number): Promise<void> {
  using client = await RawClient.connect({ port });
  await client.sendText("hello");
  assert.equal(await client.nextText(), "Server received: hello");
  client.close();
}

Deno.test("a stderr that nobody reads holds up nobody, and not the end", { ignore: IS_WINDOWS }, async () => {
  await using server = new SilentServer(["--log-level", "debug", "--handshake-rate", "unlimited"]);
  const port = await server.port;
  // Each leaves two records of more than 100 bytes: three times what a pipe holds.
  for (let count = 0; count < 1000; count++) await assertEchoes(port);
  server.child.kill("SIGTERM");
  assert.equal((await server.child.status).code, 0);
});

Deno.test("a second start in the same runtime folder is refused, names the first, and leaves it alone", async () => {
  const { folder, runtimeDir, options } = sharedFolder();
  await using first = startServer([], options);
  const port = await first.port("echo");
  await assertEchoes(port);
  for (const args of [[], ["--echo-port", String(port)], ["--key-file", "missing/key"]]) {
    const ports = args.includes("--echo-port") ? [] : ["--echo-port", "0"];
    await using second = new Program(["serve", "--secure-port", "0", ...ports, ...args], options);
    const { code, stdout, stderr } = await second.result();
    assert.deepEqual([code, stdout], [1, ""]);
    assert.ok(stderr.includes(`process id ${first.pid} uses it`) || EXECUTABLE !== undefined, stderr);
    assert.match(stderr, /--runtime-dir of its own/);
  }
  await assertEchoes(port);
  first.signal("SIGTERM");
  assert.equal((await first.result()).code, 0);
  assert.throws(() => Deno.statSync(runtimeDir), Deno.errors.NotFound);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a socket in the runtime folder that somebody answers on is not taken away", async () => {
  const { folder, runtimeDir, options } = sharedFolder();
  Deno.mkdirSync(runtimeDir, { mode: 0o700 });
  const path = `${runtimeDir}/echo.sock`;
  using _ = Deno.listen({ transport: "unix", path });
  await using program = startServer([], options);
  const { code, stderr } = await program.result();
  assert.equal(code, 1, stderr);
  assert.match(stderr, /another server answers on ".*echo\.sock"/);
  assert.ok(Deno.statSync(path).isSocket);
  await Deno.remove(folder, { recursive: true });
});

Deno.test(
  "a runtime folder that others can enter or that is a link is refused",
  { ignore: IS_WINDOWS },
  async () => {
    const { folder, runtimeDir, options } = sharedFolder();
    Deno.mkdirSync(`${folder}/open`, { mode: 0o700 });
    Deno.chmodSync(`${folder}/open`, 0o750);
    Deno.mkdirSync(`${folder}/closed`, { mode: 0o700 });
    for (const [target, expected] of [["open", /mode 0700/], ["closed", /no link/]] as const) {
      if (target === "open") Deno.renameSync(`${folder}/open`, runtimeDir);
      else Deno.symlinkSync(`${folder}/closed`, runtimeDir);
      await using program = startServer([], options);
      const { code, stderr } = await program.result();
      assert.equal(code, 1, stderr);
      assert.match(stderr, expected);
      if (target === "open") Deno.renameSync(runtimeDir, `${folder}/open`);
    }
    await Deno.remove(folder, { recursive: true });
  },
);

Deno.test("a log file that somebody would have to read first is refused, not waited for", {
  ignore: IS_WINDOWS,
}, async () => {
  const folder = Deno.makeTempDirSync();
  await new Deno.Command("mkfifo", { args: [`${folder}/fifo`] }).output();
  await using program = startServer(["--log-file", "fifo"], { folder });
  const { code, stderr } = await program.result();
  assert.equal(code, 1);
  assert.match(stderr, /Cannot open log file "fifo": it is a pipe/);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("SIGUSR1 ends the server, because the runtime opens its debugger", {
  // The executable on Linux blocks it.
  ignore: IS_WINDOWS || EXECUTABLE !== undefined,
}, async () => {
  await using program = startServer(["--no-secure"]);
  await assertEchoes(await program.port("echo"));
  program.signal("SIGUSR1");
  const { code } = await program.result();
  assert.equal(code, 1);
  assert.match(program.read("websocket_errors.log"), / FATAL process\.debugger_opened /);
});

Deno.test("where SIGUSR1 is blocked by whoever starts the server, it does nothing", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  const folder = Deno.makeTempDirSync();
  const runtimeDir = `${folder}/run`;
  const args = ["serve", "--no-secure", "--echo-port", "0", "--runtime-dir", runtimeDir];
  const { path, args: all, ...rest } = programCommand(args, startPermissions(runtimeDir));
  const child = new Deno.Command("/usr/bin/env", {
    ...rest,
    args: ["--block-signal=USR1", path, ...all],
    cwd: folder,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const port = Number(/:(\d+)\//.exec((await reader.read()).value ?? "")?.[1]);
  child.kill("SIGUSR1");
  await assertEchoes(port);
  const status = await new Deno.Command("grep", { args: ["ShdPnd", `/proc/${child.pid}/status`] }).output();
  // It stays pending, which is what blocked means: number 10 is bit 9.
  assert.equal(parseInt(new TextDecoder().decode(status.stdout).split(":")[1]!, 16) & 0x200, 0x200);
  child.kill("SIGTERM");
  while (!(await reader.read()).done);
  assert.equal((await child.status).code, 0);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("readiness looks at the private socket", async () => {
  await using program = startServer(["--no-secure", "--admin-listen", "127.0.0.1:0"]);
  await program.port("echo");
  const [, url] = /Admin on (\S+)/.exec(program.stdout.text)!;
  const ready = async () => {
    const response = await fetch(new URL("/readyz", url));
    return [response.status, (await response.text()).trim()];
  };
  await program.usageAtRest("echo");
  assert.equal((await ready())[0], 200);
  Deno.removeSync(`${program.runtimeDir}/echo.sock`);
  const [status, text] = await ready();
  assert.equal(status, 503);
  assert.match(String(text), /echo/);
  program.signal("SIGTERM");
  assert.equal((await program.result()).code, 0);
});

Deno.test("closing the terminal ends the server as SIGTERM does", {
  ignore: !existsSync("/usr/bin/python3") || EXECUTABLE !== undefined,
}, async () => {
  const folder = Deno.makeTempDirSync();
  const runtimeDir = `${folder}/run`;
  const args = ["serve", "--no-secure", "--echo-port", "0", "--log-file", "log"];
  const { path, args: all } = programCommand(args, startPermissions(runtimeDir));
  // Starts it in a terminal of its own, closes that once it serves, and passes its exit code on.
  const script = `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
text = b""
while b"(echo)" not in text: text += os.read(terminal, 4096)
os.close(terminal)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`;
  const { code, stderr } = await new Deno.Command("/usr/bin/python3", {
    args: ["-c", script, path, ...all],
    env: { WSWARD_RUNTIME_DIR: runtimeDir },
    cwd: folder,
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  assert.throws(() => Deno.statSync(runtimeDir), Deno.errors.NotFound);
  await Deno.remove(folder, { recursive: true });
});

Deno.test(
  "a pipe in place of a file that a setting names is refused at the start, and at SIGHUP changes nothing",
  {
    ignore: IS_WINDOWS,
  },
  async () => {
    const folder = Deno.makeTempDirSync();
    const makePipe = (name: string) => new Deno.Command("mkfifo", { args: [`${folder}/${name}`] }).output();
    await makePipe("pipe");
    await makePipe("pipe.toml");
    const tls = new URL("../fixtures/tls/", import.meta.url).pathname;
    await Deno.copyFile(`${tls}server.pem`, `${folder}/cert.pem`);
    const cases: readonly string[][] = [
      ["--config", "pipe.toml"],
      ["--rules-file", "pipe"],
      ["--key-file", "pipe"],
      ["--tls-cert", "pipe", "--tls-key", "pipe"],
      ["--tls-cert", "cert.pem", "--tls-key", "pipe"],
      ["--state-file", "pipe"],
      ["--upstream", "wss://localhost:1", "--upstream-ca", "pipe"],
      ["--upstream", "wss://localhost:1", "--upstream-cert", "cert.pem", "--upstream-key", "pipe"],
    ];
    for (const args of cases) {
      await using program = startServer(args, { folder });
      const { code, stderr } = await program.result();
      assert.equal(code, 1, args.join(" "));
      assert.match(stderr, /"pipe(\.toml)?": it is not a regular file\n$/);
    }

    await Deno.writeTextFile(`${folder}/rules`, "deny 203.0.113.0/24\n");
    await using program = startServer(["--rules-file", "rules"], { folder });
    const port = await program.port("echo");
    for (const name of ["rules", "wsward.key"]) {
      await program.usageUntil("the key file", () => existsSync(`${folder}/${name}`));
      await Deno.remove(`${folder}/${name}`);
      await makePipe(name);
    }
    program.signal("SIGHUP");
    await program.logged(/rules\.reload_failed .*not a regular file/);
    await program.logged(/keys\.reload_failed .*not a regular file/);
    await assertEchoes(port);
    program.signal("SIGTERM");
    assert.equal((await program.result()).code, 0);
    await Deno.remove(folder, { recursive: true });
  },
);

Deno.test(
  "SIGHUP reads the key file again, and opens the log file again",
  { ignore: IS_WINDOWS },
  async () => {
    const folder = Deno.makeTempDirSync();
    await using program = startServer([], { folder });
    const port = await program.port("secure");
    const present = async () => {
      using client = await RawClient.connect({ port });
      const { stdout } = await run(["token", "create", "--user", "alice"], { folder });
      await client.sendText(stdout.trim());
      return await client.nextText();
    };
    assert.equal(await present(), "Authenticated!");
    await Deno.writeTextFile(`${folder}/wsward.key`, `${"A".repeat(43)}\n`);
    assert.equal(await present(), "Invalid Token", "the old key is in force");

    const moved = `${folder}/errors.moved`;
    const file = `${folder}/websocket_errors.log`;
    await Deno.rename(file, moved);
    assert.ok(!existsSync(file));
    program.signal("SIGHUP");
    await program.logged(/keys\.reloaded/);
    assert.equal(await present(), "Authenticated!", "the new key is in force");
    assert.ok(existsSync(file), "nothing was logged since, so it was the signal that opened it");
    program.signal("SIGTERM");
    assert.equal((await program.result()).code, 0);
    await Deno.remove(folder, { recursive: true });
  },
);

Deno.test("a variable that looks like a setting and is none is refused, with the one that was meant", async () => {
  const env = { WSWARD_ECHO_PROT: "9000" };
  // Which variables there are can be seen with the permission for all.
  const onlyPermissions = ["--no-prompt", "--allow-all"];
  for (const args of [["serve"], ["config", "check"]]) {
    const { code, stderr } = await run(args, { env, onlyPermissions });
    assert.equal(code, 2);
    assert.match(stderr, /WSWARD_ECHO_PROT: it is no setting, did you mean WSWARD_ECHO_PORT\?\n$/);
  }
  const others = { WSWARD_TEST_ANYTHING: "x", WSWARD_ADMIN_URL: "http://127.0.0.1:9090" };
  assert.equal((await run(["config", "check"], { env: others, onlyPermissions })).code, 0);
});

Deno.test("what other servers have leads to what is here", async () => {
  const cases: readonly (readonly [string[], RegExp])[] = [
    [["serve", "--port", "80"], /--echo-port and --secure-port/],
    [["reload"], /SIGHUP/],
    [["stop"], /SIGTERM/],
    [["serve", "--echo-port", "9000", "--secure-port", "9000"], /must be two ports/],
    [["serve", "--allow-origin", "https://*.example.com"], /there are no patterns/],
    [["serve", "--allow-origin", "null"], /--insecure-allow-null-origin/],
    [["serve", "--log-chain", "--log-format", "json", "--log-file", "none"], /--log-file must name one/],
  ];
  for (const [args, expected] of cases) {
    const { code, stderr } = await run(args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, expected);
  }
  assert.match((await run(["-V"])).stdout, /^wsward \d/);
});

Deno.test("--log-file none leaves no file, and the terminal has all", async () => {
  await using program = startServer(["--no-secure", "--log-file", "none"]);
  using client = await RawClient.connect({ port: await program.port("echo") });
  await client.sendFrame({ opcode: 3 });
  await client.nextClose();
  client.close();
  await program.logged(/protocol\.error/);
  program.signal("SIGHUP");
  program.signal("SIGTERM");
  assert.equal((await program.result()).code, 0);
  assert.deepEqual([...Deno.readDirSync(program.folder)], []);
});

Deno.test("the first record says what has started, and where; in JSON nothing else is on stdout", async () => {
  const folder = Deno.makeTempDirSync();
  await Deno.writeTextFile(`${folder}/settings.json`, '{"log-format": "json"}');
  await using program = startServer(["--config", "settings.json"], {
    folder,
    permissions: [`--allow-read=${folder}/settings.json`],
  });
  await program.logged(/key\.created/);
  const [first] = program.stderr.text.split("\n");
  const { event, level, addresses, pid, config, version } = JSON.parse(first!);
  assert.deepEqual([event, level, config], ["server.started", "info", "settings.json"]);
  if (EXECUTABLE === undefined) assert.equal(pid, program.pid);
  assert.match(version, /^\d+\.\d+\.\d+/);
  const ports = [...addresses.matchAll(/ws:\/\/127\.0\.0\.1:(\d+)\//g)].map(([, port]) => Number(port));
  assert.equal(ports.length, 2);
  await assertEchoes(ports[0]!);
  program.signal("SIGTERM");
  const { code, stdout } = await program.result();
  assert.deepEqual([code, stdout], [0, ""]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a stdout that can't be written is said, and the server serves", {
  ignore: Deno.build.os !== "linux" || EXECUTABLE !== undefined,
}, async () => {
  const folder = Deno.makeTempDirSync();
  const runtimeDir = `${folder}/run`;
  const serve = ["serve", "--no-secure", "--echo-port", "0", "--runtime-dir", runtimeDir];
  const { path, args } = programCommand(serve, startPermissions(runtimeDir));
  const child = new Deno.Command("/bin/sh", {
    args: ["-c", 'exec "$0" "$@" >/dev/full', path, ...args],
    cwd: folder,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let text = "";
  let isStopped = false;
  for await (const part of child.stderr.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (!text.includes("server.stdout_failed") || isStopped) continue;
    isStopped = true;
    await assertEchoes(Number(/:(\d+)\//.exec(text)![1]));
    child.kill("SIGTERM");
  }
  assert.equal((await child.status).code, 0, text);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("in the journal each line begins with its priority, and nowhere else", {
  ignore: Deno.build.os !== "linux" || EXECUTABLE !== undefined,
}, async () => {
  const folder = Deno.makeTempDirSync();
  const permissions = ["--allow-env=JOURNAL_STREAM"];
  // A program that a service starts inherits the variable, but not the stream.
  await using other = startServer(["--no-secure"], { folder, env: { JOURNAL_STREAM: "1:2" }, permissions });
  assert.match(await other.logged(/.*server\.started.*/), /^\d\d:/);

  const runtimeDir = `${folder}/own`;
  const args = ["serve", "--no-secure", "--echo-port", "0", "--runtime-dir", runtimeDir];
  const command = programCommand(args, startPermissions(runtimeDir, permissions));
  const script = 'exec 2>journal; JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$0" "$@"';
  const child = new Deno.Command("/bin/sh", {
    args: ["-c", script, command.path, ...command.args],
    cwd: folder,
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  using client = await RawClient.connect({ port: Number(/:(\d+)\//.exec((await reader.read()).value!)![1]) });
  await client.sendFrame({ opcode: 3 });
  await client.nextClose();
  client.close();
  child.kill("SIGTERM");
  while (!(await reader.read()).done);
  assert.equal((await child.status).code, 0);
  const lines = (await Deno.readTextFile(`${folder}/journal`)).trimEnd().split("\n");
  assert.match(lines[0]!, /^<6>.* INFO server\.started /);
  assert.ok(lines.some((line) => /^<3>.* ERROR protocol\.error /.test(line)), lines.join("\n"));
  assert.ok(lines.every((line) => /^<[2-7]>\d\d:/.test(line)));
  other.signal("SIGTERM");
  await other.result();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a start warns where fewer files may be open than its connections need", async () => {
  for (const [limit, isFew] of [["30063", true], ["30064", false], ["unlimited", false]] as const) {
    await using program = startServer(["--no-secure"], { env: { WSWARD_OPEN_FILES: limit } });
    await program.logged(/server\.started/);
    await program.port("echo");
    program.signal("SIGTERM");
    const { stderr } = await program.result();
    // The executable finds it out itself.
    if (EXECUTABLE === undefined) assert.equal(stderr.includes("server.few_descriptors"), isFew, limit);
  }
});

Deno.test("a fault that nobody expected is recorded with its stack, once, and the server goes on", {
  ignore: IS_WINDOWS || EXECUTABLE !== undefined,
}, async () => {
  const folder = Deno.makeTempDirSync();
  const runtimeDir = `${folder}/run`;
  const main = new URL("../support/faulty_main.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", ...startPermissions(runtimeDir), main, "serve", "--no-secure", "--echo-port", "0"],
    env: { WSWARD_RUNTIME_DIR: runtimeDir },
    cwd: folder,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stderr = new Response(child.stderr).text();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const port = Number(/:(\d+)\//.exec((await reader.read()).value!)![1]);
  // A round trip after each signal: the faults of the one before are over by then.
  for (let round = 0; round < 3; round++) {
    child.kill("SIGUSR2");
    await assertEchoes(port);
  }
  child.kill("SIGTERM");
  while (!(await reader.read()).done);
  assert.equal((await child.status).code, 0);
  const records = (await stderr).split("\n").filter((line) => line.includes(" process.unhandled "));
  assert.equal(records.length, 2, records.join("\n"));
  for (const planted of ["TypeError: planted rejection", "RangeError: planted error"]) {
    assert.equal(records.filter((line) => line.includes(planted)).length, 1);
  }
  assert.ok(records.every((line) => /stack=".*faulty_main\.ts:\d+/.test(line)), records.join("\n"));
  const kept = await Deno.readTextFile(`${folder}/websocket_errors.log`);
  assert.equal(kept.split("\n").filter((line) => line.includes(" process.unhandled ")).length, 2);
  await Deno.remove(folder, { recursive: true });
});
