// Every setting takes effect: the program is started with each at some value, and must visibly do what that says.

import assert from "node:assert/strict";
import { createSecretKey } from "node:crypto";
import { SETTING_NAMES, type SettingName } from "../../src/core/settings/declarations.ts";
import { declarationOf, flagOf } from "../../src/core/settings/settings.ts";
import { type ForeignKey, makeKey, toJwk } from "../auth/foreign.ts";
import { Program, startServer } from "../support/process.ts";
import { OPCODE } from "../support/raw_client.ts";
import { nowS, type Row, SECRET, World } from "../support/settings_world.ts";
import { startForeign } from "../upstream/harness.ts";
import { CONNECTION_ROWS } from "./connection_rows.ts";
import { OPERATION_ROWS } from "./operation_rows.ts";
import { UPSTREAM_ROWS } from "./upstream_rows.ts";

const GOOD = "Authenticated!";
const BAD = "Invalid Token";

const issuer = makeKey("EdDSA");

const ROWS: Partial<Record<SettingName, Row>> = {
  ...CONNECTION_ROWS,
  ...OPERATION_ROWS,
  ...UPSTREAM_ROWS,
  keyFile: {
    value: "other.key",
    prepare: (folder) => writeKey(folder, "other.key", "A".repeat(43)),
    async check(world) {
      const secret = createSecretKey(new Uint8Array(32));
      assert.equal(await world.answer(world.token()), BAD);
      const other: ForeignKey = { alg: "HS256", publicKey: secret, privateKey: secret };
      assert.equal(await world.answer(world.token({}, {}, other)), GOOD);
    },
  },
  keyEncoding: {
    value: "hex",
    prepare: (folder) => writeKey(folder, "wsward.key", "5b".repeat(32)),
    check: async (world) => assert.equal(await world.answer(world.token()), GOOD),
  },
  jwksUrl: {
    value: "http://127.0.0.1:PORT/keys",
    async check(world) {
      assert.equal(await world.answer(world.token({}, { kid: "k" }, issuer)), GOOD);
      assert.equal(await world.answer(world.token()), GOOD);
    },
  },
  issuer: {
    value: "https://id.example",
    async check(world) {
      assert.equal(await world.answer(world.token()), BAD);
      assert.equal(await world.answer(world.token({ iss: "https://id.example/" })), BAD);
      assert.equal(await world.answer(world.token({ iss: "https://id.example" })), GOOD);
    },
  },
  audience: {
    value: "chat",
    more: ["--audience", "mail"],
    async check(world) {
      assert.equal(await world.answer(world.token()), BAD);
      assert.equal(await world.answer(world.token({ aud: "other" })), BAD);
      for (const aud of ["chat", "mail"]) assert.equal(await world.answer(world.token({ aud })), GOOD);
    },
  },
  tokenType: {
    value: "at+jwt",
    async check(world) {
      assert.equal(await world.answer(world.token()), BAD);
      assert.equal(await world.answer(world.token({}, { typ: "at+jwt" })), GOOD);
    },
  },
  maxTokenAge: {
    value: "1h",
    async check(world) {
      assert.equal(await world.answer(world.token()), BAD);
      assert.equal(await world.answer(world.token({ iat: nowS() - 3700 })), "Token Expired");
      assert.equal(await world.answer(world.token({ iat: nowS() - 3500 })), GOOD);
    },
  },
  clockTolerance: {
    value: "5m",
    async check(world) {
      assert.equal(await world.answer(world.token({ exp: nowS() - 200 })), GOOD);
      assert.equal(await world.answer(world.token({ exp: nowS() - 400 })), "Token Expired");
    },
  },
  authTimeout: {
    value: "100ms",
    async check(world) {
      using client = await world.open();
      assert.equal(await client.nextText(), "Authentication Timeout");
      assert.equal((await client.nextClose()).code, 3008);
      client.close();
    },
  },
  messageTimeout: {
    value: "100ms",
    async check(world) {
      using client = await world.open();
      await client.sendText(world.token());
      assert.equal(await client.nextText(), GOOD);
      await client.sendFrame({ opcode: OPCODE.text, fin: false, payload: "a" });
      const { code, reason } = await client.nextClose();
      assert.deepEqual([code, reason], [3008, "the rest of a message did not come in time"]);
      client.close();
    },
  },
  insecureTokenInQuery: {
    async check(world) {
      assert.equal(await world.status(world.token(), "query"), 101);
    },
  },
  expiryWarning: {
    value: "1h",
    async check(world) {
      using client = await world.open({ headers: { "Sec-WebSocket-Protocol": "wsward.v1" } });
      await client.sendText(world.token({ exp: nowS() + 3000 }));
      assert.equal(await client.nextText(), GOOD);
      assert.equal(JSON.parse(await client.nextText()).method, "token_expiring");
      client.close();
    },
  },
  maxSessionsPerUser: {
    value: "1",
    async check(world) {
      using first = await world.open();
      await first.sendText(world.token());
      assert.equal(await first.nextText(), GOOD);
      assert.equal(await world.answer(world.token()), "Too Many Sessions");
      assert.equal(await world.answer(world.token({ user_id: "bob" })), GOOD);
      first.close();
    },
  },
  onSessionLimit: {
    value: "close-oldest",
    more: ["--max-sessions-per-user", "1"],
    async check(world) {
      using first = await world.open();
      await first.sendText(world.token());
      assert.equal(await first.nextText(), GOOD);
      assert.equal(await world.answer(world.token()), GOOD);
      assert.equal(await first.nextText(), "Too Many Sessions");
      first.close();
    },
  },
  replayCheck: {
    async check(world) {
      const token = world.token({ jti: "once" });
      assert.equal(await world.answer(token), GOOD);
      assert.equal(await world.answer(token), "Token Already Used");
      assert.equal(await world.answer(world.token()), BAD);
    },
  },
  stateFile: {
    value: "state.db",
    more: ["--replay-check"],
    check: async (world) => assert.equal(await world.answer(onceForEver(world)), GOOD),
    checkAgain: async (world) => assert.equal(await world.answer(onceForEver(world)), "Token Already Used"),
  },
  banAfter: {
    value: "2",
    more: ["--ban-loopback", "--auth-timeout", "3s"],
    async check(world) {
      // Nobody is banned for being late.
      await Promise.all(Array.from({ length: 4 }, async () => {
        using late = await world.open();
        assert.equal(await late.nextText(), "Authentication Timeout");
        await late.nextClose();
        late.close();
      }));
      assert.equal(await world.answer(world.token()), GOOD);
      // Failures count, whether in the header or in a message; the last one is cut off.
      assert.equal(await world.status("x.y.z", "header"), 401);
      using last = await world.open();
      await last.sendText("x.y.z");
      await world.program.logged(/client\.banned/);
      assert.equal(await world.status(world.token(), "header"), 403);
    },
  },
};

/** What can be seen with a Redis only, and the file in which it is. */
const SEEN_WITH_REDIS: Readonly<Partial<Record<SettingName, string>>> = {
  redis: "lives_test.ts",
  redisPrefix: "lives_test.ts",
  redisTimeout: "loss_test.ts",
  redisCa: "tls_test.ts",
  nodeName: "lives_test.ts",
  onRedisLoss: "loss_test.ts",
};

Deno.test("each setting has a row that shows its effect, or a test with a Redis that gives it", async () => {
  for (const name of SETTING_NAMES) {
    const file = SEEN_WITH_REDIS[name];
    if (file === undefined) assert.ok(name in ROWS, `${name} must have a row`);
    else {
      const text = await Deno.readTextFile(new URL(`../redis/${file}`, import.meta.url));
      assert.ok(text.includes(`"${flagOf(name)}"`), `${file} must give ${flagOf(name)}`);
    }
  }
});

for (const [name, row] of Object.entries(ROWS) as [SettingName, Row][]) {
  Deno.test(`${flagOf(name)} has its effect`, async () => {
    const folder = Deno.makeTempDirSync();
    writeKey(folder, "wsward.key", SECRET.export().toString("base64url"));
    row.prepare?.(folder);
    await using issuerServer = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => Response.json({ keys: [toJwk(issuer.publicKey, { kid: "k" })] }),
    );
    assert.equal(row.value === undefined, declarationOf(name).kind === "switch");
    await using foreign = row.foreign && await startForeign(row.foreign);
    const place = (arg: string) =>
      arg.replace("PORT", String(issuerServer.addr.port)).replace("UPSTREAM", foreign?.url ?? "");
    const args = [flagOf(name), ...(row.value === undefined ? [] : [row.value]), ...row.more ?? []];
    for (const check of [row.check, row.checkAgain]) {
      if (check === undefined) continue;
      const { base = ["--no-echo"], options } = row;
      await using program = new Program(["serve", ...withPorts([...base, ...args]).map(place)], {
        ...options,
        folder,
      });
      await check(new World(program, foreign));
      if (row.ends !== true) program.signal("SIGTERM");
      assert.equal((await program.result()).code, 0, program.stderr.text);
    }
    Deno.removeSync(folder, { recursive: true });
  });
}

Deno.test("without the flags, a token may say what it likes but not be in the query, and nobody is replayed", async () => {
  const folder = Deno.makeTempDirSync();
  writeKey(folder, "wsward.key", SECRET.export().toString("base64url"));
  await using program = startServer(["--no-echo"], { folder });
  const world = new World(program);
  const claims = { iss: "anybody", iat: nowS() - 86_400, jti: "again" };
  for (let count = 0; count < 2; count++) {
    assert.equal(await world.answer(world.token(claims, { typ: "at+jwt" })), GOOD);
  }
  assert.equal(await world.status(world.token(), "query"), 400);
  assert.equal(await world.answer(world.token({ aud: "chat" })), BAD);
  program.signal("SIGTERM");
  assert.equal((await program.result()).code, 0);
  Deno.removeSync(folder, { recursive: true });
});

/** Any free port, unless a setting is about one. */
function withPorts(args: string[]): string[] {
  for (const flag of ["--echo-port", "--secure-port"]) if (!args.includes(flag)) args.push(flag, "0");
  return args;
}

function writeKey(folder: string, name: string, text: string): void {
  Deno.writeTextFileSync(`${folder}/${name}`, text, { mode: 0o600 });
}

/** The same token in both starts. */
function onceForEver(world: World): string {
  return world.token({ jti: "for ever", exp: 4e9 });
}
