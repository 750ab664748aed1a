// The doctor: each thing that a start needs, as it should be and not.

import assert from "node:assert/strict";
import { examine } from "../../src/cli/commands/doctor.ts";
import type { Finding } from "../../src/cli/commands/doctor_finding.ts";
import type { GivenValue } from "../../src/core/settings/setting_types.ts";
import type { SettingName } from "../../src/core/settings/declarations.ts";
import { parseSettings } from "../../src/core/settings/settings.ts";
import { run } from "../support/process.ts";

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
    assert.deepEqual(names, ["echo port", "secure port", "key file", "log file", "descriptors", "clock"]);
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
    assert.match(stdout, /^failure {2}echo port: 127\.0\.0\.1:\d+: it is in use\n {9}.*--echo-port$/m);
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
