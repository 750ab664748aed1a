// Tests of the store of revocations: what they cover, and that the state file keeps them through restarts and kills.
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { StartError } from "../../src/core/errors.ts";
import { RevocationStore } from "../../src/endpoints/revocation_store.ts";
import { ManualClock, within } from "./harness.ts";
import { identityOf } from "./session_harness.ts";

const ON_WINDOWS = Deno.build.os === "windows";

async function withFolder(test: (path: string, folder: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(`${folder}/state.db`, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function jti(value: string, ttlMs = 60_000): Parameters<RevocationStore["add"]>[0] {
  return { kind: "jti", value, jtis: [value], ttlMs };
}

function assertRefused(path: string, state: string | RegExp): void {
  assert.throws(() => new RevocationStore({ path }).close(), (error) => {
    assert.ok(error instanceof StartError);
    const start = `Cannot use state file "${path}": `;
    assert.ok(error.message.startsWith(start), error.message);
    const rest = error.message.slice(start.length);
    if (typeof state === "string") assert.equal(rest, state);
    else assert.match(rest, state);
    return true;
  });
}

for (const kind of ["memory", "a state file"]) {
  Deno.test(`in ${kind} a revocation lasts for its time to live and not a moment longer`, async () => {
    await withFolder((path) => {
      const clock = new ManualClock();
      const store = new RevocationStore({ clock, path: kind === "memory" ? undefined : path });
      const revocation = store.add(jti("a", 1000));
      assert.deepEqual(store.list(), [revocation]);
      assert.deepEqual(revocation, {
        id: revocation.id,
        kind: "jti",
        value: "a",
        jtis: ["a"],
        revokedAtMs: clock.now(),
        expiresAtMs: clock.now() + 1000,
      });
      clock.advance(999);
      assert.ok(store.covers(identityOf({ jti: "a" })));
      clock.advance(1);
      assert.ok(!store.covers(identityOf({ jti: "a" })));
      assert.deepEqual(store.list(), []);
      assert.equal(store.remove(revocation.id), false);
      store.close();
      store.close();
    });
  });
}

Deno.test("of two revocations of one thing each lasts for its own time", () => {
  const clock = new ManualClock();
  const store = new RevocationStore({ clock });
  const long = store.add(jti("a", 2000));
  store.add(jti("a", 1000));
  clock.advance(1000);
  assert.deepEqual(store.list(), [long]);
  assert.ok(store.covers(identityOf({ jti: "a" })));
  assert.ok(store.remove(long.id));
  assert.ok(!store.covers(identityOf({ jti: "a" })));
});

Deno.test("a jti and a user with the same name are two things", () => {
  const store = new RevocationStore();
  store.add(jti("alice"));
  assert.ok(!store.covers(identityOf({ user: "alice" })));
  store.add({ kind: "user", value: "bob", jtis: [], ttlMs: 1000 });
  assert.ok(!store.covers(identityOf({ user: "carol", jti: "bob" })));
  for (const user of ["__proto__", "constructor"]) assert.ok(!store.covers(identityOf({ user, jti: user })));
});

Deno.test("what was added and taken back is known after a restart", async () => {
  await withFolder((path) => {
    const clock = new ManualClock();
    const store = new RevocationStore({ path, clock });
    const odd = `'; DROP TABLE revocations; -- \u{1f600}\u0000"`;
    const kept = [
      store.add({ kind: "session", value: "s1", jtis: ["a", odd], ttlMs: 60_000 }),
      store.add({ kind: "user", value: odd, jtis: [], ttlMs: 60_000 }),
    ];
    store.remove(store.add(jti("taken back")).id);
    store.add(jti("short", 1000));
    store.close();
    clock.advance(1000);

    const again = new RevocationStore({ path, clock });
    assert.deepEqual(again.list(), kept);
    assert.ok(again.covers(identityOf({ jti: odd })));
    assert.ok(again.covers(identityOf({ user: odd })));
    assert.ok(!again.covers(identityOf({ jti: "taken back" })));
    again.close();
  });
});

Deno.test("rows that have run out are swept out of the file", async () => {
  await withFolder((path) => {
    const clock = new ManualClock();
    const store = new RevocationStore({ path, clock });
    for (const name of ["a", "b", "c"]) store.add(jti(name, 1000));
    clock.advance(1000);
    store.add(jti("d"));
    store.close();
    const database = new DatabaseSync(path);
    assert.equal(database.prepare("SELECT count(*) AS n FROM revocations").get()?.["n"], 1);
    database.close();
  });
});

Deno.test("nothing that was acknowledged is lost when the process is killed", async () => {
  await withFolder(async (path) => {
    const command = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--no-check",
        `--allow-read=${path},${path}-wal,${path}-shm,${path}-journal`,
        `--allow-write=${path},${path}-wal,${path}-shm,${path}-journal`,
        new URL("revoking_program.ts", import.meta.url).pathname,
        path,
      ],
      stdout: "piped",
    });
    for (const enough of [20, 1, 50]) {
      const before = readUsers(path);
      const child = command.spawn();
      let text = "";
      let isKilled = false;
      const read = async () => {
        for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
          text += part;
          if (!isKilled && text.split("\n").length > enough) {
            isKilled = true;
            child.kill("SIGKILL");
          }
        }
      };
      await within("the revocations", read());
      assert.equal((await child.status).signal, "SIGKILL");
      // The last line may have been cut off by the kill.
      const acknowledged = Number(text.slice(0, text.lastIndexOf("\n")).split("\n").at(-1));
      const users = readUsers(path);
      assert.ok(users.length >= before.length + acknowledged + 1);
      for (let number = 0; number <= acknowledged; number++) assert.ok(users.includes(`user${number}`));
    }
  });
});

function readUsers(path: string): string[] {
  const store = new RevocationStore({ path });
  const users = store.list().map(({ value }) => value);
  store.close();
  return users;
}

Deno.test({
  name: "only its user can read the file and its journal",
  ignore: ON_WINDOWS,
  fn: async () => {
    await withFolder((path, folder) => {
      const store = new RevocationStore({ path });
      store.add(jti("a"));
      for (const { name } of Deno.readDirSync(folder)) {
        assert.equal(Deno.statSync(`${folder}/${name}`).mode! & 0o777, 0o600, name);
      }
      store.close();
      Deno.chmodSync(path, 0o640);
      assertRefused(path, "it is open to others (mode 0640); its mode must be 0600");
    });
  },
});

Deno.test("one file serves one process", async () => {
  await withFolder((path) => {
    const store = new RevocationStore({ path });
    assertRefused(path, "another process uses it");
    store.add(jti("a"));
    store.close();
    new RevocationStore({ path }).close();
  });
});

Deno.test("a file that is no database is refused and left as it is", async () => {
  await withFolder(async (path) => {
    const text = "not a database, whatever its name says ".repeat(100);
    await Deno.writeTextFile(path, text, { mode: 0o600 });
    assertRefused(path, "file is not a database");
    assert.equal(await Deno.readTextFile(path), text);
  });
});

Deno.test("the database of another program is refused and left as it is", async () => {
  await withFolder(async (path) => {
    await Deno.writeTextFile(path, "", { mode: 0o600 });
    const database = new DatabaseSync(path);
    database.exec("CREATE TABLE places (name TEXT)");
    database.close();
    const before = await Deno.readFile(path);
    assertRefused(path, "it is the database of another program");
    assert.deepEqual(await Deno.readFile(path), before);
  });
});

Deno.test("a file of a later format is refused", async () => {
  await withFolder((path) => {
    new RevocationStore({ path }).close();
    const database = new DatabaseSync(path);
    database.exec("PRAGMA user_version = 2");
    database.close();
    assertRefused(path, "it has the format 2, this version of the program reads 1");
  });
});

Deno.test("a damaged file is refused", async () => {
  await withFolder(async (path) => {
    const store = new RevocationStore({ path });
    for (let number = 0; number < 200; number++) store.add(jti(`jti${number}`));
    store.close();
    const bytes = await Deno.readFile(path);
    bytes.fill(0xa5, 4096, bytes.length);
    await Deno.writeFile(path, bytes);
    assertRefused(path, /malformed|damaged/);
    await Deno.writeFile(path, bytes.subarray(0, 1000));
    assertRefused(path, /./);
  });
});

Deno.test("an empty file, as a full disk leaves it, is taken over", async () => {
  await withFolder(async (path) => {
    await Deno.writeTextFile(path, "", { mode: 0o600 });
    const store = new RevocationStore({ path });
    store.add(jti("a"));
    store.close();
    assert.equal(readUsers(path).length, 1);
  });
});

Deno.test("a place that can't be used is refused in words", async () => {
  await withFolder((_, folder) => {
    assertRefused(`${folder}/missing/state.db`, "its folder does not exist");
    assertRefused(folder, "it is not a regular file");
  });
});
