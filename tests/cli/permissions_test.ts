// The flags of `serve --print-permissions`: a server does all its work with them, and needs each of them.

import assert from "node:assert/strict";
import { resolve } from "node:path";
import { permissionFlags } from "../../src/cli/about/permissions.ts";
import { UsageError } from "../../src/core/errors.ts";
import type { GivenValue } from "../../src/core/settings/setting_types.ts";
import type { SettingName } from "../../src/core/settings/declarations.ts";
import { parseSettings } from "../../src/core/settings/settings.ts";
import { EXECUTABLE, Program, run } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";

const FIXTURES = new URL("../fixtures/tls/", import.meta.url).pathname;

function flagsFor(given: Partial<Record<SettingName, GivenValue>>): readonly string[] {
  const settings = new Map(
    Object.entries({ runtimeDir: "/run/wsward", ...given }) as [SettingName, GivenValue][],
  );
  return permissionFlags(parseSettings(settings, () => undefined));
}

/** The names behind one flag. */
function namesIn(flags: readonly string[], flag: string): readonly string[] {
  return flags.find((word) => word.startsWith(`${flag}=`))?.slice(flag.length + 1).split(",") ?? [];
}

/** The words that a shell makes of a command line. */
async function splitInShell(line: string): Promise<readonly string[]> {
  const script = 'eval "set -- $0"; for word; do printf "%s\\n" "$word"; done';
  const { success, stdout } = await new Deno.Command("sh", { args: ["-c", script, line] }).output();
  assert.ok(success);
  return new TextDecoder().decode(stdout).trimEnd().split("\n");
}

Deno.test("names the listeners, each with its port, and the sockets by their full paths", () => {
  const net = (given: Partial<Record<SettingName, GivenValue>>) => namesIn(flagsFor(given), "--allow-net");
  assert.deepEqual(net({}), [
    "127.0.0.1:8765",
    "unix:/run/wsward/echo.sock",
    "127.0.0.1:8888",
    "unix:/run/wsward/secure.sock",
  ]);
  assert.deepEqual(net({ host: "::1", secure: false, runtimeDir: "here/" }), [
    "[::1]:8765",
    `unix:${resolve("here/echo.sock")}`,
  ]);
  const issuer = { echo: false, jwksUrl: "https://issuer.example/keys" };
  assert.deepEqual(net(issuer).slice(2), ["issuer.example:443"]);
  assert.deepEqual(net({ ...issuer, jwksUrl: "https://[2001:db8::1]:9/" }).slice(2), ["[2001:db8::1]:9"]);
  assert.deepEqual(net({ ...issuer, jwksUrl: "http://localhost:9/" }).slice(2), ["localhost:9", "[::1]:9"]);
  // Without tokens nobody asks for keys.
  assert.deepEqual(net({ ...issuer, echo: true, secure: false }).length, 2);
});

Deno.test("names each upstream with its port, a Unix socket by its path, and the files of its TLS", () => {
  const upstream = ["ws://127.0.0.1", "wss://ws.example", "ws://[::1]:3000", "unix:///run/chat.sock"];
  const tls = { upstreamCa: "ca.pem", upstreamCert: "me.pem", upstreamKey: "me.key" };
  const flags = flagsFor({ upstream, ...tls });
  assert.deepEqual(namesIn(flags, "--allow-net"), [
    "127.0.0.1:8888",
    "127.0.0.1:80",
    "ws.example:443",
    "[::1]:3000",
    "unix:/run/chat.sock",
  ]);
  for (const flag of ["--allow-read", "--allow-write"]) {
    assert.ok(namesIn(flags, flag).includes("/run/chat.sock"), flag);
  }
  for (const file of Object.values(tls)) assert.ok(namesIn(flags, "--allow-read").includes(file), file);
});

Deno.test("quotes what a shell would not take as it is", async () => {
  const name = "my 'key'$(touch pwned);*.pem";
  const flags = flagsFor({ keyFile: name, runtimeDir: "/run/a b" });
  const words = await splitInShell(flags.join(" "));
  assert.equal(words.length, flags.length);
  assert.ok(namesIn(words, "--allow-read").includes(name));
  assert.ok(namesIn(words, "--allow-net").includes("unix:/run/a b/echo.sock"));
  assert.deepEqual(flagsFor({ keyFile: "schlüssel-1.pem" }).filter((flag) => flag.includes("'")), []);
});

Deno.test("refuses what can't be permitted", () => {
  const withoutFolder = parseSettings(new Map(), () => undefined);
  assert.throws(() => permissionFlags(withoutFolder), (error) => {
    assert.ok(error instanceof UsageError);
    return /^Cannot print permissions without --runtime-dir: /.test(error.message);
  });
  for (const given of [{ keyFile: "a,b" }, { host: "a,b" }, { runtimeDir: "/a,b" }]) {
    assert.throws(() => flagsFor(given), /^UsageError: Cannot print permissions for ".*a,b.*": .* comma/);
  }
});

/** A server as a user would have it. */
interface Case {
  readonly name: string;
  readonly args: readonly string[];
  /** Where its listeners are; 127.0.0.1 if left out. */
  readonly hostname?: string;
  /** Full log files that it keeps. */
  readonly fullFiles: number;
}

// An address that no other test listens on, for ports that are not picked by the system.
const OWN_ADDRESS = `127.84.${crypto.getRandomValues(new Uint8Array(2)).join(".")}`;
const FREE_PORTS = ["--echo-port", "0", "--secure-port", "0"];
// One client's errors would only be counted.
const MANY_CLIENTS = ["--trust-proxy", "127.0.0.0/8"];
const SMALL_LOG = [
  ...["--log-max-size", "4KiB", "--log-format", "json", "--ready-lines", "on"],
  ...MANY_CLIENTS,
];

const CASES: readonly Case[] = [
  { name: "at a first start", args: [...FREE_PORTS, ...SMALL_LOG, "--log-max-files", "1"], fullFiles: 1 },
  {
    name: "with TLS, rules, a state file, administration, a chained log and awkward names",
    args: [
      ...[...FREE_PORTS, ...SMALL_LOG, "--log-max-files", "2", "--log-chain"],
      ...["--tls-cert", "server.pem", "--tls-key", "server.key.pem", "--tls-client-ca", "client_ca.pem"],
      ...["--rules-file", "rules", "--state-file", "state.db", "--admin-listen", "127.0.0.1:0"],
      ...["--metrics-listen", "[::1]:0", "--metrics-token-file", "metrics.token"],
      ...["--key-file", "my 'own' key", "--log-file", "$HOME;log"],
    ],
    fullFiles: 2,
  },
  {
    name: "with the keys of an issuer, on fixed ports",
    args: ["--host", OWN_ADDRESS, "--admin-listen", `${OWN_ADDRESS}:9090`, ...SMALL_LOG],
    hostname: OWN_ADDRESS,
    fullFiles: 5,
  },
  {
    name: "for the echo endpoint alone, by the name of its host, with settings in a file",
    args: ["--no-secure", "--host", "localhost", ...FREE_PORTS, "--config", "wsward.toml"],
    fullFiles: 0,
  },
];

/** A folder with what the cases name. */
async function createFolder(): Promise<string> {
  const folder = await Deno.makeTempDir();
  for (const { name } of Deno.readDirSync(FIXTURES)) {
    await Deno.copyFile(FIXTURES + name, `${folder}/${name}`);
  }
  await Deno.writeTextFile(`${folder}/metrics.token`, "a-token-for-the-metrics");
  await Deno.writeTextFile(`${folder}/rules`, "deny 192.0.2.1\n");
  await Deno.writeTextFile(`${folder}/wsward.toml`, 'rules-file = "rules"\nlog-max-size = "unlimited"\n');
  return folder;
}

async function connect(
  { args, hostname = "127.0.0.1" }: Case,
  port: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<RawClient> {
  if (!args.includes("--tls-cert")) return await RawClient.connect({ port, hostname }, { headers });
  const read = (name: string) => Deno.readTextFileSync(FIXTURES + name);
  const identity = { cert: read("client.pem"), key: read("client.key.pem") };
  const client = new RawClient(
    await Deno.connectTls({ hostname: "localhost", port, caCerts: [read("server.pem")], ...identity }),
  );
  assert.equal((await client.handshake({ headers })).status, 101);
  return client;
}

async function assertEchoes(which: Case, port: number): Promise<void> {
  using client = await connect(which, port);
  await client.sendText("hello");
  assert.equal(await client.nextText(), "Server received: hello");
}

/** Has the server do all that it does: serve, judge a token, reload, and write more errors than its log files hold. */
async function work(which: Case, program: Program, keyFile: string): Promise<void> {
  const { args, fullFiles } = which;
  const flag = (name: string) => args[args.indexOf(name) + 1]!;
  const port = await program.port("echo");
  await assertEchoes(which, port);
  if (!args.includes("--no-secure")) {
    const mint = ["token", "create", "--user", "alice", "--key-file", keyFile];
    const { stdout: token } = await run(mint, { folder: program.folder, onlyPermissions: ["-A"] });
    using client = await connect(which, await program.port("secure"));
    await client.sendText(token.trim());
    assert.equal(await client.nextText(), "Authenticated!");
  }
  if (args.includes("--admin-listen")) {
    const [, url] = await program.stdout.until(/Admin on (\S+)\/\n/);
    const revoke = ["revoke", "--user", "bob", "--url", url!, "--key-file", keyFile];
    const { code, stderr } = await run(revoke, { folder: program.folder, onlyPermissions: ["-A"] });
    assert.deepEqual([code, stderr], [0, ""]);
  }
  for (let i = 0; i < 20 * (fullFiles + 1); i++) {
    using client = await connect(which, port, { "X-Forwarded-For": `198.51.100.${i}` });
    await client.sendFrame({ opcode: 3 });
    assert.equal((await client.nextClose()).code, 1002);
  }
  program.signal("SIGHUP");
  await program.logged(/\b(keys|rules)\.reloaded\b/);
  assert.doesNotMatch(program.stderr.text, /_failed/);
  const logFile = args.includes("--log-file") ? flag("--log-file") : "websocket_errors.log";
  const names = Array.from(Deno.readDirSync(program.folder), ({ name }) => name);
  const full = names.filter((name) => name.startsWith(`${logFile}.`)).sort();
  assert.deepEqual(full, Array.from({ length: fullFiles }, (_, i) => `${logFile}.${i + 1}`));
  await assertEchoes(which, port);
}

/** What a program asked the runtime for, as the runtime itself recorded it: `read /tmp/a`. */
function readAudit(path: string, folder: string): ReadonlySet<string> {
  const records = Deno.readTextFileSync(path).trimEnd().split("\n").map((line) => JSON.parse(line));
  return new Set(records.map(({ permission, value }) => access(permission, value, folder)));
}

function access(permission: string, value: string, folder: string): string {
  if (permission === "read" || permission === "write") return `${permission} ${resolve(folder, value)}`;
  // What is fetched is recorded by its URL, too.
  return `${permission} ${value.startsWith("http:") ? new URL(value).host : value}`;
}

/** Whether a permission covers what was asked for: the same, or a file in the folder that it names. */
function covers(permission: string, asked: string): boolean {
  return asked === permission || asked.startsWith(`${permission}/`);
}

for (const which of CASES) {
  const name = `a server works with the permissions that it prints, and uses each of them, ${which.name}`;
  Deno.test(`${name} (source tree only)`, { ignore: EXECUTABLE !== undefined }, async () => {
    const folder = await createFolder();
    const create = ["key", "create", "--alg", "EdDSA", "--out", "issuer.key", "--public-out", "issuer.jwks"];
    await run(create, { folder, onlyPermissions: ["-A"] });
    const jwks = await Deno.readTextFile(`${folder}/issuer.jwks`);
    await using issuer = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => new Response(jwks),
    );
    const hasIssuer = which.hostname !== undefined;
    const args = ["serve", "--runtime-dir", "run", "--handshake-rate", "unlimited", ...which.args];
    if (hasIssuer) args.push("--jwks-url", `http://127.0.0.1:${issuer.addr.port}/`);
    const keyFile = hasIssuer
      ? "issuer.key"
      : which.args.includes("--key-file")
      ? "my 'own' key"
      : "wsward.key";

    const env = { WSWARD_LOG_LEVEL: "info" };
    const onlyPermissions = ["--no-prompt", "--allow-env=WSWARD_*", "--allow-read=wsward.toml"];
    const printed = await run([...args, "--print-permissions"], { folder, env, onlyPermissions });
    assert.deepEqual([printed.code, printed.stderr], [0, ""]);
    const flags = await splitInShell(printed.stdout.trimEnd());

    const audit = await Deno.makeTempFile();
    await using program = new Program(args, {
      folder,
      env: { ...env, DENO_AUDIT_PERMISSIONS: audit },
      onlyPermissions: flags,
    });
    await work(which, program, keyFile);
    program.signal("SIGTERM");
    assert.equal((await program.result()).code, 0);

    const asked = [...readAudit(audit, folder)];
    const granted = ["net", "read", "write"].flatMap((permission) =>
      namesIn(flags, `--allow-${permission}`).map((name) => access(permission, name, folder))
    );
    assert.deepEqual(granted.filter((permission) => !asked.some((one) => covers(permission, one))), []);
    // The folders above the one of the sockets are looked at where that is allowed.
    const isAbove = (one: string) => one.startsWith("read /") && `${folder}/`.startsWith(one.slice(5));
    assert.deepEqual(
      asked.filter((one) =>
        !one.startsWith("env WSWARD_") && !isAbove(one) &&
        !granted.some((permission) => covers(permission, one))
      ),
      [],
    );
    await Deno.remove(audit);
    await Deno.remove(folder, { recursive: true });
  });
}

Deno.test("deno run takes the printed flags as they are from $(...) (source tree only)", {
  ignore: EXECUTABLE !== undefined,
}, async () => {
  const folder = await Deno.makeTempDir();
  const deno = `${Deno.execPath()} run`;
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const serve = `${main} serve --no-secure --echo-port 0 --runtime-dir run`;
  const print = `${deno} --allow-env=WSWARD_* ${serve} --print-permissions`;
  const child = new Deno.Command("sh", {
    args: ["-c", `exec ${deno} $(${print}) ${serve}`],
    cwd: folder,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await reader.read();
  assert.match(value ?? "", /^Listening on ws:\/\/127\.0\.0\.1:\d+\/ \(echo\)\n$/);
  child.kill("SIGTERM");
  assert.equal((await child.status).code, 0);
  await reader.cancel();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a start without the permissions that it needs tells a command that has them (source tree only)", {
  ignore: EXECUTABLE !== undefined,
}, async () => {
  const folder = await Deno.makeTempDir();
  const { code, stderr } = await run(
    ["serve", "--no-secure", "--echo-port", "0", "--echo-prefix", "it's"],
    { folder, onlyPermissions: ["--no-prompt", "--allow-read=.", "--allow-env=WSWARD_*"] },
  );
  await Deno.remove(folder, { recursive: true });
  assert.equal(code, 1);
  const [, command = ""] = /; this would work: deno run (.*)\n$/.exec(stderr) ?? [];
  assert.match(command, /^--no-prompt --allow-net=127\.0\.0\.1:0,unix:\S+\/wsward\.run\/echo\.sock /);
  assert.ok(command.endsWith(`--echo-prefix 'it'\\''s' --runtime-dir wsward.run`), command);
});
