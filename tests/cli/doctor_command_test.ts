// The command `doctor`: each thing that a start needs, as it should be and as it should not.

import assert from "node:assert/strict";
import { examine } from "../../src/cli/commands/doctor.ts";
import type { Finding } from "../../src/cli/commands/doctor_finding.ts";
import type { GivenValue } from "../../src/core/settings/setting_types.ts";
import type { SettingName } from "../../src/core/settings/declarations.ts";
import { parseSettings } from "../../src/core/settings/settings.ts";
import { EXECUTABLE, run } from "../support/process.ts";

const NOW_MS = Date.UTC(2026, 6, 1);

async function findings(
  given: Readonly<Partial<Record<SettingName, GivenValue>>>,
  nowMs = NOW_MS,
): Promise<ReadonlyMap<string, Finding>> {
  const settings = parseSettings(
    new Map(Object.entries({ echoPort: "0", securePort: "0", ...given }) as [SettingName, GivenValue][]),
    () => undefined,
  );
  return new Map((await examine(settings, nowMs)).map((finding) => [finding.name, finding]));
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("all is well where a start would be, and nothing is left behind", () =>
  inFolder(async (folder) => {
    const { code, stdout } = await run(["doctor", "--echo-port", "0", "--secure-port", "0", "--json"], {
      folder,
    });
    assert.equal(code, 0);
    const names = (JSON.parse(stdout).findings as Finding[]).filter(({ name, result }) =>
      // The limit of this machine is not for the test to say.
      name === "descriptors" || result === "ok"
    ).map(({ name }) => name);
    assert.deepEqual(names, [
      "echo port",
      "secure port",
      "key file",
      "runtime folder",
      "log file",
      "descriptors",
      "clock",
    ]);
    assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name), []);
  }));

Deno.test("a port that is in use is a failure, which ends with 1 and says what mends it", () =>
  inFolder(async (folder) => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { code, stdout } = await run(
      ["doctor", "--no-secure", "--echo-port", String(listener.addr.port)],
      { folder },
    );
    assert.equal(code, 1);
    assert.match(
      stdout,
      /^failure {2}echo port: 127\.0\.0\.1:\d+: the address is in use\n {9}.*--echo-port$/m,
    );
  }));

Deno.test("a key that others can read, a missing folder and a wrong certificate are failures", () =>
  inFolder(async (folder) => {
    Deno.writeTextFileSync(`${folder}/open.key`, btoa("k".repeat(32)));
    Deno.chmodSync(`${folder}/open.key`, 0o644);
    Deno.writeTextFileSync(`${folder}/no.pem`, "nothing");
    const found = await findings({
      keyFile: `${folder}/open.key`,
      logFile: `${folder}/none/errors.log`,
      tlsCert: `${folder}/no.pem`,
      tlsKey: `${folder}/no.pem`,
    });
    for (const name of ["key file", "log file", "certificate"]) {
      const { result, remedy } = found.get(name)!;
      assert.equal(result, "failure", name);
      assert.ok(remedy, name);
    }
  }));

Deno.test("an issuer is a warning unless it answers with 200", () =>
  inFolder(async (folder) => {
    let status = 200;
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, () =>
      new Response("{}", { status }));
    const jwksUrl = `http://127.0.0.1:${server.addr.port}/`;
    const given = { jwksUrl, keyFile: `${folder}/none.key`, logFile: `${folder}/errors.log` };
    assert.equal((await findings(given)).get("issuer")!.result, "ok");
    status = 404;
    assert.match((await findings(given)).get("issuer")!.state, /status 404$/);
    await server.shutdown();
    assert.equal((await findings(given)).get("issuer")!.result, "warning");
  }));

Deno.test("more connections than descriptors are a warning, a clock long past a failure", async () => {
  const found = await findings({ secure: false, maxConnections: "unlimited", logFile: "none.log" }, 0);
  const { result, remedy } = found.get("descriptors")!;
  if (Deno.build.os === "linux") {
    assert.deepEqual([result, /--max-connections \d+$/.test(remedy ?? "")], ["warning", true]);
  }
  assert.equal(found.get("clock")!.result, "failure");
});

// The executable sees its own limit.
Deno.test(
  "the limit of descriptors is the one that a start goes by, if somebody says it (source tree only)",
  {
    ignore: EXECUTABLE !== undefined,
  },
  () =>
    inFolder(async (folder) => {
      const { stdout } = await run(["doctor", "--no-secure", "--echo-port", "0"], {
        folder,
        env: { WSWARD_OPEN_FILES: "123" },
      });
      assert.match(stdout, /^warning {2}descriptors: 123 can be open, and /m);
    }),
);

Deno.test("rules, state, runtime folder, TLS key and metrics token are looked at, each as it should be and not", () =>
  inFolder(async (folder) => {
    const write = (name: string, text: string, mode = 0o600) => {
      Deno.writeTextFileSync(`${folder}/${name}`, text);
      Deno.chmodSync(`${folder}/${name}`, mode);
      return `${folder}/${name}`;
    };
    Deno.mkdirSync(`${folder}/run`, { mode: 0o700 });
    Deno.mkdirSync(`${folder}/open`);
    Deno.chmodSync(`${folder}/open`, 0o777);
    const sqlite = `SQLite format 3\0${"\0".repeat(84)}`;
    const pem = new URL("../fixtures/tls/", import.meta.url).pathname;
    const cert = `${pem}server.pem`;
    const key = Deno.readTextFileSync(`${pem}server.key.pem`);
    const token = "0123456789abcdef";
    const base = { secure: false, logFile: `${folder}/errors.log` } as const;
    const metrics = { ...base, metricsListen: "127.0.0.1:0" };
    const tls = { ...base, tlsCert: cert };
    const cases: [string, Finding["result"], Parameters<typeof findings>[0]][] = [
      ["rules file", "ok", { ...base, rulesFile: write("rules", "deny 192.0.2.1\n") }],
      ["rules file", "failure", { ...base, rulesFile: write("bad", "deny nobody\n") }],
      ["rules file", "failure", { ...base, rulesFile: `${folder}/none` }],
      ["state file", "ok", { ...base, stateFile: `${folder}/new.db` }],
      ["state file", "ok", { ...base, stateFile: write("state.db", sqlite) }],
      ["state file", "ok", { ...base, stateFile: write("empty.db", "") }],
      ["state file", "warning", { ...base, stateFile: write("open.db", sqlite, 0o644) }],
      ["state file", "failure", { ...base, stateFile: write("text.db", "no database") }],
      ["state file", "failure", { ...base, stateFile: `${folder}/none/state.db` }],
      ["runtime folder", "ok", { ...base, runtimeDir: `${folder}/run` }],
      ["runtime folder", "ok", { ...base, runtimeDir: `${folder}/fresh` }],
      ["runtime folder", "failure", { ...base, runtimeDir: `${folder}/open` }],
      ["runtime folder", "failure", { ...base, runtimeDir: `${folder}/none/run` }],
      ["TLS key", "ok", { ...tls, tlsKey: write("a.key", key, 0o640) }],
      ["TLS key", "warning", { ...tls, tlsKey: write("b.key", key, 0o644) }],
      ["TLS key", "failure", { ...tls, tlsKey: `${folder}/none` }],
      ["metrics token", "ok", { ...metrics, metricsTokenFile: write("token", token, 0o640) }],
      ["metrics token", "warning", { ...metrics, metricsTokenFile: write("known", token, 0o644) }],
      ["metrics token", "failure", { ...metrics, metricsTokenFile: write("short", "0123456789abcde") }],
    ];
    for (const [name, result, given] of cases) {
      const finding = (await findings(given)).get(name);
      assert.equal(finding?.result, result, `${name} with ${JSON.stringify(given)}: ${finding?.state}`);
      assert.equal(finding.remedy === undefined, result === "ok");
    }
    const names = new Set(Array.from(Deno.readDirSync(folder), ({ name }) => name));
    for (const name of ["new.db", "fresh", "errors.log"]) assert.ok(!names.has(name), `${name} was created`);
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const found = await findings({ ...base, metricsListen: `127.0.0.1:${taken.addr.port}` });
    assert.match(found.get("metrics port")!.remedy!, /choose another with --metrics-listen$/);
  }));
