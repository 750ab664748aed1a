// The rows for settings of administration, the log and the process.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import type { SettingName } from "../../src/core/settings/declarations.ts";
import type { Row, World } from "../support/settings_world.ts";
import { assertCloses, ECHO, violate, VIOLATION } from "./connection_rows.ts";

/** What each of many clients needs whose records are to fill a log: of one client's, repetitions are only counted. */
const MANY = ["--trust-proxy", "127.0.0.1", "--handshake-rate", "unlimited"];

/** As {@linkcode violate}, each as a client of its own. */
async function violateAsMany(world: World, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await assertCloses(world, VIOLATION, 1002, undefined, { "X-Forwarded-For": `192.0.2.${i}` });
  }
}

/** Ends the program; only then all of its records are in the file. */
async function end({ program }: World): Promise<void> {
  program.signal("SIGTERM");
  await program.result();
}

async function adminUrl(world: World): Promise<string> {
  return (await world.program.stdout.until(/Admin on (\S+)\n/))[1]!;
}

async function metricsUrl(world: World): Promise<string> {
  const url = (await world.program.printed(/Metrics on (\S+)\n/))[1]!;
  return url.replace("0.0.0.0", "127.0.0.1");
}

/** Rows by setting. */
export const OPERATION_ROWS: Partial<Record<SettingName, Row>> = {
  adminListen: {
    value: "127.0.0.1:0",
    async check(world) {
      const response = await fetch(`${await adminUrl(world)}healthz`);
      assert.equal(response.status, 200);
      await response.body?.cancel();
    },
  },
  adminScope: {
    value: "operate",
    more: ["--admin-listen", "127.0.0.1:0"],
    async check(world) {
      const url = await adminUrl(world);
      for (const [scope, status] of [["operate", 200], ["wsward:admin", 403]] as const) {
        const headers = { Authorization: `Bearer ${world.token({ scope })}` };
        const response = await fetch(`${url}sessions`, { headers });
        assert.equal(response.status, status, scope);
        await response.body?.cancel();
      }
    },
  },
  metricsListen: {
    value: "0.0.0.0:0",
    base: ECHO,
    async check(world) {
      const response = await fetch(await metricsUrl(world));
      assert.match(await response.text(), /^wsward_ready 1$/m);
    },
  },
  metricsTokenFile: {
    value: "metrics.token",
    more: ["--metrics-listen", "127.0.0.1:0"],
    base: ECHO,
    prepare: (folder) => Deno.writeTextFileSync(`${folder}/metrics.token`, "the-first-token-of-metrics\n"),
    async check(world) {
      const url = await metricsUrl(world);
      const status = async (token: string) => {
        const response = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
        await response.body?.cancel();
        return response.status;
      };
      assert.deepEqual([await status("the-first-token-of-metrics"), await status("wrong")], [200, 401]);
      const file = `${world.program.folder}/metrics.token`;
      Deno.writeTextFileSync(file, "the-second-token-of-metrics");
      world.program.signal("SIGHUP");
      await world.program.logged(/metrics\.token_reloaded/);
      assert.deepEqual(
        [await status("the-second-token-of-metrics"), await status("the-first-token-of-metrics")],
        [200, 401],
      );
      Deno.writeTextFileSync(file, "short");
      world.program.signal("SIGHUP");
      await world.program.logged(/metrics\.token_reload_failed/);
      assert.equal(await status("the-second-token-of-metrics"), 200);
      assert.doesNotMatch(world.program.stderr.text, /-token-of-metrics/);
    },
  },
  healthPath: {
    value: "/healthz",
    base: ECHO,
    async check({ program }) {
      const response = await fetch(`http://127.0.0.1:${await program.port("echo")}/healthz`);
      assert.deepEqual([response.status, await response.text()], [200, "ok\n"]);
    },
  },
  logFile: {
    value: "other.log",
    base: ECHO,
    ends: true,
    async check(world) {
      await violate(world, 1);
      await end(world);
      assert.match(world.program.read("other.log"), /protocol\.error/);
      assert.ok(!existsSync(`${world.program.folder}/websocket_errors.log`));
    },
  },
  logLevel: {
    value: "error",
    base: ECHO,
    async check(world) {
      await violate(world, 1);
      assert.doesNotMatch(world.program.stderr.text, /connection\.opened/);
    },
  },
  logFormat: {
    value: "json",
    base: ECHO,
    async check(world) {
      await violate(world, 1);
      const line = await world.program.logged(/.*"protocol\.error".*/);
      assert.equal(JSON.parse(line).rule, "reserved_opcode");
    },
  },
  readyLines: {
    value: "off",
    base: ECHO,
    more: ["--log-format", "json"],
    async check(world) {
      (await world.echo()).close();
      assert.equal(world.program.stdout.text, "");
    },
    async checkAgain(world) {
      const record = await world.program.logged(/.*"server\.started".*/);
      assert.match(JSON.parse(record).addresses, /^ws:\/\/127\.0\.0\.1:\d+\/$/);
    },
  },
  logMaxSize: {
    value: "4KiB",
    more: MANY,
    base: ECHO,
    ends: true,
    async check(world) {
      await violateAsMany(world, 60);
      await end(world);
      assert.ok(existsSync(`${world.program.folder}/websocket_errors.log.1`));
    },
  },
  logMaxFiles: {
    value: "1",
    more: ["--log-max-size", "4KiB", ...MANY],
    base: ECHO,
    ends: true,
    async check(world) {
      await violateAsMany(world, 120);
      await end(world);
      const { folder } = world.program;
      assert.ok(existsSync(`${folder}/websocket_errors.log.1`));
      assert.ok(!existsSync(`${folder}/websocket_errors.log.2`));
    },
  },
  logChain: {
    more: ["--log-format", "json"],
    base: ECHO,
    ends: true,
    async check(world) {
      await violate(world, 2);
      await end(world);
      const records = world.program.read("websocket_errors.log").trim().split("\n");
      for (const line of records) assert.match(JSON.parse(line).prev, /^[0-9a-f]{64}$/);
    },
  },
  reusePort: {
    base: ECHO,
    async check(world) {
      const port = await world.program.port("echo");
      // Linux alone lets another one in, and only if both want it.
      Deno.listen({ hostname: "127.0.0.1", port, reusePort: true }).close();
    },
  },
  runtimeDir: {
    value: "run",
    base: ECHO,
    options: { onlyPermissions: ["-A"] },
    async check(world) {
      await world.program.port("echo");
      using client = await world.echo();
      client.close();
      assert.ok(existsSync(`${world.program.folder}/run/echo.sock`));
    },
  },
};
